#include "run/fly/fly.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "run/executor/child.h"
#include "run/executor/pod_entry.h"
#include "run/native/app.h"
#include "run/native/common_files.h"
#include "run/native/environment.h"
#include "run/native/kernel_files.h"
#include "run/native/mounts.h"
#include "run/native/users.h"
#include "run/native/volumes.h"

namespace actool::run::fly {
namespace {

using native::AppPlan;

// The host's directory with all that is mounted below it.
void bindHost(int root, const char* name) {
  const UniqueFd host = native::cloneMount(AT_FDCWD, std::string("/") + name, true);
  native::attachMount(host.get(), native::apiDirectory(root, name).get(), std::string("/") + name);
}

// rkt's fly leaves capabilities and system calls alone unless the app has something to say of them.
AppPlan withoutDefaultLimits(const AppPlan& app) {
  AppPlan free = app;
  const auto& isolators = app.app.isolators;
  if (!isolators.capabilities(true) && !isolators.capabilities(false)) free.capabilities.reset();
  if (isolators.find("os/linux/seccomp-retain-set") == nullptr &&
      isolators.find("os/linux/seccomp-remove-set") == nullptr) {
    free.filter.reset();
  }
  return free;
}

}  // namespace

pid_t FlyDriver::start(const AppPlan& app, executor::AppStep /*step*/,
                       const std::vector<std::string>& argv) {
  return executor::startChild(CLONE_NEWNS, [&] {
    executor::applyIsolation(isolation_.apps()[static_cast<std::size_t>(&app - plan_.apps.data())]);
    if (::setsid() < 0) throwErrno("starting a session");
    native::makeMountsPrivate();
    const UniqueFd root = native::mountRoot(app.rootfs, false);
    const native::Identity identity =
        native::resolveIdentity(root.get(), app.app.user, app.app.group);
    for (const char* name : {"dev", "proc", "sys"})
      bindHost(root.get(), name);
    native::provideCommonFiles(root.get(), plan_, app, layout_.stage1Rootfs());
    native::mountVolumes(root.get(), app.mounts, app.shown(), false);
    if (app.readOnlyRoot) native::setMountAttributes(root.get(), MOUNT_ATTR_RDONLY, 0, false);
    native::enterRoot(root.get());

    if (!plan_.options.interactive) {
      const UniqueFd null = openFile("/dev/null", O_RDONLY | O_NOCTTY);
      if (::dup2(null.get(), STDIN_FILENO) < 0) throwErrno("closing standard input");
    }
    const char* term = plan_.options.interactive ? ::getenv("TERM") : nullptr;
    native::becomeProgram(
        withoutDefaultLimits(app), identity,
        native::composeEnvironment(app.name, app.app, identity, term != nullptr ? term : ""), argv);
  });
}

void FlyDriver::signal(pid_t pid, int signal) {
  ::kill(pid, signal);
}

void FlyDriver::ended(const AppPlan& /*app*/, executor::AppStep /*step*/) {}

}  // namespace actool::run::fly
