#include "run/nspawn/driver.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "core/base/error.h"
#include "core/base/fs.h"
#include "core/base/log.h"
#include "core/base/strings.h"
#include "run/executor/app_pid.h"
#include "run/executor/child.h"
#include "run/executor/pod_entry.h"
#include "run/native/common_files.h"
#include "run/native/enter.h"
#include "run/native/mounts.h"
#include "run/native/namespaces.h"
#include "run/native/options.h"
#include "run/nspawn/command.h"
#include "run/nspawn/inside.h"

namespace actool::run::nspawn {
namespace {

using executor::AppStep;
using native::AppPlan;

constexpr const char* kNspawn = "/usr/bin/systemd-nspawn";
constexpr std::size_t kMaxProcFile = 1 << 20;

// That child of `parent` which is number `inner` in its own PID namespace; 0 when there is none.
pid_t childNumbered(pid_t parent, pid_t inner) {
  const std::string text = std::to_string(parent);
  const auto children = tryReadFile("/proc/" + text + "/task/" + text + "/children", kMaxProcFile);
  if (!children) return 0;
  for (const std::string_view word : split(*children, ' ')) {
    const auto pid = parseUint(trim(word));
    if (pid && native::innerPidOf(static_cast<pid_t>(*pid)) == inner) {
      return static_cast<pid_t>(*pid);
    }
  }
  return 0;
}

// nspawn keeps a directory for mounts that come later. On a file system of a disk it warns that it
// will not remove it again; in this mount namespace, which is the pod's, it gets one in memory.
void provideNspawnDirectory() {
  const Path dir = "/run/systemd/nspawn";
  makeDirs(dir);
  const UniqueFd memory =
      native::newMount("tmpfs", {{"mode", "0755"}}, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
  native::attachMount(memory.get(), openFile(dir, O_PATH | O_DIRECTORY).get(), dir.string());
}

// systemd-nspawn hands descriptors on in the way of sd_listen_fds(3), and no others. What has that
// number here is ours for as long as the pod runs, or the descriptor itself: nothing else is lost.
void passLifeLine(int fd) {
  const int passed = fd == kLifeLineFd ? ::fcntl(fd, F_SETFD, 0) : ::dup2(fd, kLifeLineFd);
  if (passed < 0 || ::setenv("LISTEN_FDS", "1", 1) != 0 ||
      ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1) != 0) {
    throwErrno("passing a descriptor to systemd-nspawn");
  }
}

}  // namespace

NspawnDriver::NspawnDriver(const native::PodPlan& plan, const PodLayout& layout,
                           const native::Isolation& isolation,
                           const std::vector<std::string>& arguments)
    : plan_(plan),
      layout_(layout),
      isolation_(isolation),
      arguments_(arguments),
      lifeLine_(makePipe()) {
  if (::access(kNspawn, X_OK) != 0) {
    throw NotFoundError(std::string("there is no ") + kNspawn,
                        "install systemd-nspawn (Debian: systemd-container)");
  }
  std::error_code failure;
  program_ = std::filesystem::read_symlink("/proc/self/exe", failure).parent_path();
  if (failure) throw SystemError(failure.value(), "reading /proc/self/exe");
  if (!plan.options.hostNetwork) holder_.emplace(plan, CLONE_NEWNET);
  native::makeMountsPrivate();
  provideNspawnDirectory();

  const Path data = layout.dir() / "nspawn";
  makeDirs(data, 0755);
  std::filesystem::copy(layout.manifest(), data / "pod", failure);
  if (!failure && actool::exists(layout.dir() / "appsinfo")) {
    std::filesystem::copy(layout.dir() / "appsinfo", data / "appsinfo",
                          std::filesystem::copy_options::recursive, failure);
  }
  if (failure) throw SystemError(failure.value(), "copying manifests to " + data.string());
}

void NspawnDriver::openRoot(const AppPlan& app) {
  UniqueFd& root = roots_[app.name.str()];
  if (root) return;
  root = native::mountRoot(app.rootfs, !plan_.options.disablePaths);
  native::provideCommonFiles(root.get(), plan_, app, layout_.stage1Rootfs());
  // What systemd-nspawn(1) asks of a root directory.
  for (const char* dir : {"/usr", "/etc", "/dev", "/proc", "/sys", "/run", "/tmp"})
    native::makeDirInRoot(root.get(), dir);
}

pid_t NspawnDriver::start(const AppPlan& app, AppStep step, const std::vector<std::string>&) {
  for (const native::MountPlan& mount : app.mounts) {
    if (!mount.ofHost) continue;
    withContext("volume \"" + mount.volume + "\"",
                [&] { native::openWithoutSymlinks(mount.source); });
  }
  openRoot(app);
  Machine machine{plan_, app};
  // Unique, and 64 characters at the most: the UUID without its dashes, then the app's place.
  machine.name =
      "a" + plan_.options.uuid.str().substr(0, 23) + "-" + std::to_string(&app - plan_.apps.data());
  machine.program = program_;
  machine.data = layout_.dir() / "nspawn";
  machine.network = holder_ ? holder_->pid() : 0;
  const bool input = plan_.options.interactive && step == AppStep::main;
  machine.console = input && ::isatty(STDIN_FILENO) == 1;
  machine.arguments = {app.name.str(), std::string(name(step))};
  machine.arguments.insert(machine.arguments.end(), arguments_.begin(), arguments_.end());
  const std::vector<std::string> command = machineCommand(kNspawn, machine);
  log::debug("{}", join(command, " "));

  return executor::startChild(0, [&] {
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) throwErrno("binding nspawn to the pod");
    // The machine's processes stay where it is started from.
    executor::applyIsolation(isolation_.apps()[static_cast<std::size_t>(&app - plan_.apps.data())]);
    if (!input) {
      const UniqueFd null = openFile("/dev/null", O_RDONLY | O_NOCTTY);
      if (::dup2(null.get(), STDIN_FILENO) < 0) throwErrno("closing standard input");
    }
    passLifeLine(lifeLine_.read.get());
    std::vector<char*> argv;
    argv.reserve(command.size() + 1);
    for (const std::string& word : command)
      argv.push_back(const_cast<char*>(word.c_str()));  // execv(3) does not write there
    argv.push_back(nullptr);
    ::execv(argv[0], argv.data());
    throwErrno("executing " + command.front());
  });
}

void NspawnDriver::signal(pid_t pid, int signal) {
  const pid_t first = childNumbered(pid, 1);
  const pid_t app = first != 0 && signal == SIGKILL ? childNumbered(first, 2) : first;
  // Before there is a machine, or an app in it, nspawn itself ends it all.
  ::kill(app != 0 ? app : pid, signal);
}

void NspawnDriver::ended(const AppPlan& /*app*/, AppStep /*step*/) {}

int enterEntry(const std::vector<std::string>& arguments) {
  const native::EnterOptions options = native::parseEnterOptions(arguments);
  const PodLayout layout(".");
  const AppPlan app = executor::runningApp(options, layout);
  return withContext(app.shown(), [&] {
    const UniqueFd nspawn = executor::openApp(layout, app.name, options.pid);
    const pid_t first = childNumbered(executor::appPid(layout, app.name), 1);
    const UniqueFd process = first != 0 ? native::openProcess(first) : UniqueFd();
    if (!process || native::innerPidOf(first) != 1) throw NotFoundError("it is not running");
    native::awaitProgram(process, first);
    constexpr int kNamespaces =
        CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET;
    if (::setns(process.get(), kNamespaces) != 0) throwErrno("entering its namespaces");
    return native::runCommand(app, options);
  });
}

}  // namespace actool::run::nspawn
