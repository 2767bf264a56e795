#include "run/fly/enter.h"

#include <sched.h>

#include "core/base/error.h"
#include "run/executor/app_pid.h"
#include "run/executor/pod_entry.h"
#include "run/native/enter.h"
#include "run/native/options.h"

namespace actool::run::fly {

int enterEntry(const std::vector<std::string>& arguments) {
  const native::EnterOptions options = native::parseEnterOptions(arguments);
  const PodLayout layout(".");
  const native::AppPlan app = executor::runningApp(options, layout);
  return withContext(app.shown(), [&] {
    const UniqueFd process = executor::openApp(layout, app.name, options.pid);
    if (::setns(process.get(), CLONE_NEWNS) != 0) throwErrno("entering its mount namespace");
    return native::runCommand(app, options);
  });
}

}  // namespace actool::run::fly
