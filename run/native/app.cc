#include "run/native/app.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <functional>

#include "core/base/error.h"
#include "core/base/process.h"
#include "core/base/strings.h"
#include "run/native/capabilities.h"
#include "run/native/common_files.h"
#include "run/native/environment.h"
#include "run/native/kernel_files.h"
#include "run/native/mounts.h"
#include "run/native/namespaces.h"
#include "run/native/volumes.h"

namespace actool::run::native {
namespace {

// Makes the app's directory a mount of its own: the root has to be one.
UniqueFd mountRoot(const Path& rootfs, bool protect) {
  return withContext("its root", [&] {
    const UniqueFd place = openFile(rootfs, O_PATH | O_DIRECTORY | O_NOFOLLOW);
    UniqueFd root = cloneMount(place.get(), "", false);
    // A device node that came with the image, or that the app makes, cannot be opened.
    if (protect) setMountAttributes(root.get(), MOUNT_ATTR_NODEV, 0, false);
    attachMount(root.get(), place.get(), "the app's root");
    return root;
  });
}

void replaceStandard(int from, int number) {
  if (::dup2(from, number) < 0) throwErrno("setting up standard input and output");
}

// Standard output and error go straight through, unless the pod has a terminal of its own: then
// each of the three that was one becomes that.
void connectStandardFiles(const PodContext& context, int dev) {
  if (!context.terminal.empty()) {
    const std::string name = "pts/" + context.terminal.filename().string();
    const UniqueFd terminal = openFileAt(dev, name, O_RDWR | O_NOCTTY);
    if (::ioctl(terminal.get(), TIOCSCTTY, 0) != 0) throwErrno("setting the controlling terminal");
    for (const int number : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
      if (::isatty(number) == 1) replaceStandard(terminal.get(), number);
    }
  } else if (!context.plan.options.interactive) {
    replaceStandard(openFileAt(dev, "null", O_RDONLY | O_NOCTTY).get(), STDIN_FILENO);
  }
}

void limitPrivileges(const AppPlan& app, const Identity& identity) {
  std::vector<gid_t> groups(app.app.supplementaryGids.begin(), app.app.supplementaryGids.end());
  if (::setgroups(groups.size(), groups.data()) != 0) throwErrno("setting supplementary groups");
  if (::setresgid(identity.gid, identity.gid, identity.gid) != 0) throwErrno("setting the group");
  if (app.capabilities) limitBoundingSet(*app.capabilities);
  if (::setresuid(identity.uid, identity.uid, identity.uid) != 0) throwErrno("setting the user");
  if (app.capabilities) {
    limitOwnCapabilities(*app.capabilities);
  } else {
    clearInheritable();
  }
  if (app.noNewPrivileges && ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    throwErrno("setting no_new_privs");
  }
}

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> list;
  list.reserve(strings.size() + 1);
  for (const std::string& one : strings)
    list.push_back(const_cast<char*>(one.c_str()));
  list.push_back(nullptr);
  return list;
}

[[noreturn]] void execFailed(int errnum, const std::string& program) {
  const SystemError cause(errnum, "exec \"" + printable(program) + "\"");
  std::string hint;
  if (errnum == ENOENT) {
    const bool isThere =
        program.find('/') != std::string::npos && ::access(program.c_str(), F_OK) == 0;
    hint = isThere ? "the interpreter or loader that it asks for is not in the image"
                   : "the image has no such program; give another with --exec";
  } else if (errnum == EACCES) {
    hint = "it is not executable for the app's user";
  } else if (errnum == ENOEXEC) {
    hint = "it is no program of this machine's kind";
  }
  throw Error(cause.what(), hint);
}

// The handler's process is a child of the app's, before that becomes the app.
void runPreStart(const AppPlan& app, const Identity& identity,
                 const std::vector<std::string>& environment, const Channel& channel) {
  const std::string shown = "pre-start handler \"" + printable(app.preStart.front()) + "\"";
  const pid_t pid = cloneProcess(0);
  if (pid == 0) {
    try {
      withContext(shown, [&] { becomeProgram(app, identity, environment, app.preStart); });
    } catch (const Error& error) {
      channel.send(MessageKind::failure, app.shown() + ": " + error.what());
    }
    ::_exit(kFailedCode);
  }
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) throwErrno("waiting for the " + shown);
  }
  const ExitStatus ended{WIFSIGNALED(status),
                         WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status)};
  if (!ended.ok()) throw Error(shown + " " + ended.describe());
}

// The order of containment.
void containAndRun(const PodContext& context, const AppPlan& app, const Channel& channel) {
  const bool protect = !context.plan.options.disablePaths;
  resetSignals();
  if (::setsid() < 0) throwErrno("starting a session");

  const UniqueFd root = mountRoot(app.rootfs, protect);
  const Identity identity = resolveIdentity(root.get(), app.app.user, app.app.group);
  const UniqueFd proc = mountKernelFiles(root.get(), protect);
  const UniqueFd dev = mountDevices(root.get(), context.devices, context.terminal);
  connectStandardFiles(context, dev.get());
  provideCommonFiles(root.get(), context.plan, app, context.layout.stage1Rootfs());
  mountVolumes(root.get(), app.mounts, app.shown(), protect);
  if (app.readOnlyRoot) setMountAttributes(root.get(), MOUNT_ATTR_RDONLY, 0, false);
  enterRoot(root.get());

  if (!app.postStop.empty()) {
    const UniqueFd own = openFileAt(proc.get(), "self/ns/mnt", O_RDONLY);
    channel.send(MessageKind::mountNamespace, "", own.get());
  }
  const std::vector<std::string> environment =
      composeEnvironment(app.name, app.app, identity, context.term);
  if (!app.preStart.empty()) runPreStart(app, identity, environment, channel);
  becomeProgram(app, identity, environment, app.app.exec);
}

[[noreturn]] void reportFailure(const AppPlan& app, const Channel& channel,
                                const std::function<void()>& work) {
  try {
    withContext(app.shown(), work);
  } catch (const Error& error) {
    channel.send(MessageKind::failure, error.what());
  }
  ::_exit(kFailedCode);
}

}  // namespace

void resetSignals() {
  struct sigaction standard {};
  standard.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; ++number) {
    // EINVAL for SIGKILL, SIGSTOP and what libc keeps for itself, which cannot have changed.
    ::sigaction(number, &standard, nullptr);
  }
  sigset_t none;
  ::sigemptyset(&none);
  if (::sigprocmask(SIG_SETMASK, &none, nullptr) != 0) throwErrno("unblocking signals");
}

void becomeProgram(const AppPlan& app, const Identity& identity,
                   const std::vector<std::string>& environment,
                   const std::vector<std::string>& argv) {
  limitPrivileges(app, identity);
  ::umask(022);
  const std::string& directory = app.app.workingDirectory;
  if (!directory.empty() && ::chdir(directory.c_str()) != 0) {
    const SystemError cause(errno,
                            "entering the working directory \"" + printable(directory) + "\"");
    throw Error(cause.what(), "give another with --working-dir");
  }
  if (::close_range(STDERR_FILENO + 1, UINT_MAX, CLOSE_RANGE_CLOEXEC) != 0) {
    throwErrno("closing descriptors");
  }
  std::vector<char*> variables = pointers(environment);
  const std::vector<char*> words = pointers(argv);
  ::environ = variables.data();  // where execvp(3) takes PATH from
  ::execvp(words[0], words.data());
  execFailed(errno, argv[0]);
}

void runApp(const PodContext& context, const AppPlan& app, const Channel& channel) {
  reportFailure(app, channel, [&] { containAndRun(context, app, channel); });
}

void runPostStop(const PodContext& context, const AppPlan& app, int mountNamespace,
                 const Channel& channel) {
  reportFailure(app, channel, [&] {
    withContext("post-stop handler \"" + printable(app.postStop.front()) + "\"", [&] {
      resetSignals();
      if (::setsid() < 0) throwErrno("starting a session");
      if (::setns(mountNamespace, CLONE_NEWNS) != 0) throwErrno("entering its mount namespace");
      const UniqueFd root = openFile("/", O_PATH | O_DIRECTORY);
      replaceStandard(openFile("/dev/null", O_RDONLY | O_NOCTTY).get(), STDIN_FILENO);
      const Identity identity = resolveIdentity(root.get(), app.app.user, app.app.group);
      becomeProgram(app, identity, composeEnvironment(app.name, app.app, identity, context.term),
                    app.postStop);
    });
  });
}

}  // namespace actool::run::native
