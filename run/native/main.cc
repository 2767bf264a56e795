// The built-in stage1: one program whose name says which entry point it is.
#include <string>
#include <vector>

#include "core/base/fs.h"
#include "core/base/log.h"
#include "core/base/strings.h"
#include "run/native/app_entries.h"
#include "run/native/attach.h"
#include "run/native/enter.h"
#include "run/native/options.h"
#include "run/native/plan.h"
#include "run/native/pod.h"
#include "run/native/stage1_main.h"
#include "run/native/stop.h"
#include "run/pod_layout.h"
#include "run/user_namespace.h"

namespace actool::run::native {
namespace {

int runEntry(const std::vector<std::string>& arguments) {
  const RunOptions options = parseRunOptions(arguments);
  log::setDebug(options.debug);
  keepLock();
  const PodLayout layout(".");
  PodPlan plan = makePlan(options, layout);
  UniqueFd users;
  if (options.users) {
    users = makeUserNamespace(*options.users);
    plan.userNamespace = users.get();
    makeDirs(layout.ownUsers().parent_path(), 0755);
    writeFilePlain(layout.ownUsers(), options.users->text() + "\n");
  }
  return runPod(plan, layout);
}

int enterEntry(const std::vector<std::string>& arguments) {
  return enterApp(parseEnterOptions(arguments), PodLayout("."));
}

int attachEntry(const std::vector<std::string>& arguments) {
  return attachTo(parseAttachOptions(arguments));
}

int appAddEntry(const std::vector<std::string>& arguments) {
  addApp(parseAppEntry(arguments), PodLayout("."));
  return 0;
}

int appStartEntry(const std::vector<std::string>& arguments) {
  startApp(parseAppEntry(arguments));
  return 0;
}

int appStopEntry(const std::vector<std::string>& arguments) {
  stopApp(parseAppEntry(arguments));
  return 0;
}

int appRmEntry(const std::vector<std::string>& arguments) {
  removeApp(parseAppEntry(arguments));
  return 0;
}

int gcEntry(const std::vector<std::string>& arguments) {
  collectPod(parseGcOptions(arguments), PodLayout("."));
  return 0;
}

int stopEntry(const std::vector<std::string>& arguments) {
  stopPod(parseStopOptions(arguments), PodLayout("."));
  return 0;
}

}  // namespace
}  // namespace actool::run::native

int main(int argc, char** argv) {
  using namespace actool::run::native;
  return stage1Main(argc, argv, "native",
                    {{"run", runEntry},
                     {"enter", enterEntry},
                     {"gc", gcEntry},
                     {"stop", stopEntry},
                     {"attach", attachEntry},
                     {"app-add", appAddEntry},
                     {"app-start", appStartEntry},
                     {"app-stop", appStopEntry},
                     {"app-rm", appRmEntry}});
}
