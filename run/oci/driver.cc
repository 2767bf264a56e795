#include "run/oci/driver.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <limits>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/strings.h"
#include "run/native/capabilities.h"
#include "run/native/common_files.h"
#include "run/native/environment.h"
#include "run/native/mounts.h"
#include "run/native/users.h"
#include "run/oci/config.h"
#include "run/oci/console.h"

namespace actool::run::oci {
namespace {

using executor::AppStep;
using native::AppPlan;

constexpr std::size_t kMaxPidFile = 32;

std::string_view suffix(AppStep step) {
  switch (step) {
    case AppStep::preStart:
      return ".pre-start";
    case AppStep::main:
      return "";
    case AppStep::postStop:
      return ".post-stop";
  }
  throw Error("unknown step");
}

bool isFileSystem(const char* path, decltype(statfs::f_type) magic) {
  struct statfs info {};
  return ::statfs(path, &info) == 0 && info.f_type == magic;
}

// crun (1.8) refuses version 1 hierarchies with one of version 2 beside them. In this mount
// namespace, which is the pod's, it need not see that.
void hideUnifiedHierarchy() {
  constexpr const char* kUnified = "/sys/fs/cgroup/unified";
  if (!isFileSystem("/sys/fs/cgroup", TMPFS_MAGIC) ||
      !isFileSystem(kUnified, CGROUP2_SUPER_MAGIC)) {
    return;
  }
  if (::umount2(kUnified, MNT_DETACH) != 0) throwErrno(std::string("unmounting ") + kUnified);
}

// What the kernel gets from a path given to the runtime must be what was meant: no links.
void checkSources(const AppPlan& app) {
  for (const native::MountPlan& mount : app.mounts) {
    if (!mount.ofHost) continue;
    withContext("volume \"" + mount.volume + "\"",
                [&] { native::openWithoutSymlinks(mount.source); });
  }
}

}  // namespace

OciDriver::OciDriver(const native::PodPlan& plan, const PodLayout& layout)
    : plan_(plan),
      layout_(layout),
      runtime_(Runtime::choose(layout)),
      holder_(plan, CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) {
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) throwErrno("adopting containers");
  ::unsetenv(kOciRuntimeVariable);
  native::makeMountsPrivate();
  hideUnifiedHierarchy();
  mountShm();
}

void OciDriver::mountShm() const {
  const Path dir = ociDirectory(layout_) / "shm";
  makeDirs(dir, 0755);
  const UniqueFd shm = native::newMount("tmpfs", {{"mode", "1777"}},
                                        MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
  native::attachMount(shm.get(), openFile(dir, O_PATH | O_DIRECTORY).get(), dir.string());
}

int OciDriver::openRoot(const AppPlan& app) {
  UniqueFd& root = roots_[app.name.str()];
  if (!root) {
    root = native::mountRoot(app.rootfs, !plan_.options.disablePaths);
    native::provideCommonFiles(root.get(), plan_, app, layout_.stage1Rootfs());
  }
  return root.get();
}

std::string OciDriver::id(const AppPlan& app, AppStep step) const {
  return containerId(plan_.options.uuid.str(), app.name.str()) + std::string(suffix(step));
}

bool OciDriver::wantsTerminal() const {
  return plan_.options.interactive && ::isatty(STDIN_FILENO) == 1;
}

pid_t OciDriver::start(const AppPlan& app, AppStep step, const std::vector<std::string>& argv) {
  checkSources(app);
  const int root = openRoot(app);
  ContainerSpec spec{plan_, app};
  spec.rootfs = app.rootfs;
  spec.identity = native::resolveIdentity(root, app.app.user, app.app.group);
  const char* term = plan_.options.interactive ? ::getenv("TERM") : nullptr;
  spec.environment =
      native::composeEnvironment(app.name, app.app, spec.identity, term != nullptr ? term : "");
  spec.argv = argv;
  spec.namespaces = holder_.pid();
  spec.shm = ociDirectory(layout_) / "shm";
  spec.terminal = step == AppStep::main && wantsTerminal();
  spec.available = native::availableCapabilities();

  const std::string container = id(app, step);
  spec.cgroup = containerCgroup(container);
  const Path bundle = ociDirectory(layout_) / (app.name.str() + std::string(suffix(step)));
  makeDirs(bundle, 0700);
  writeFilePlain(bundle / "config.json", dumpPretty(containerConfig(spec)) + "\n", 0600);
  const Path pidFile = bundle / "pid";

  std::vector<std::string> words{"run",           "--detach",   "--bundle",
                                 bundle.string(), "--pid-file", pidFile.string()};
  std::optional<ConsoleSocket> console;
  if (spec.terminal) {
    console.emplace(ociDirectory(layout_) / "console");
    words.insert(words.end(), {"--console-socket", console->path().string()});
  }
  words.push_back(container);
  log::debug("{}", join(runtime_.command(words), " "));
  const UniqueFd null = openFile("/dev/null", O_RDONLY);
  const bool input = plan_.options.interactive && step == AppStep::main;
  runtime_.run(words, input ? STDIN_FILENO : null.get(), "starting its container");
  if (console) terminal_ = std::make_unique<native::Terminal>(console->receive());

  const auto pid = parseUint(trim(readFile(pidFile, kMaxPidFile)));
  if (!pid || *pid < 2 || *pid > std::numeric_limits<pid_t>::max()) {
    throw Error(pidFile.string() + " has no process ID in it");
  }
  return static_cast<pid_t>(*pid);
}

void OciDriver::signal(pid_t pid, int signal) {
  ::kill(pid, signal);
}

void OciDriver::ended(const AppPlan& app, AppStep step) {
  if (step == AppStep::main && terminal_) {
    terminal_->drain();
    terminal_.reset();
  }
  const UniqueFd null = openFile("/dev/null", O_RDONLY);
  runtime_.run({"delete", "--force", id(app, step)}, null.get(), "removing its container");
  removeCgroups(id(app, step));
}

}  // namespace actool::run::oci
