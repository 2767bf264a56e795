#include "run/native/app.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <linux/capability.h>
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
#include <map>

#include "core/base/error.h"
#include "core/base/id_map.h"
#include "core/base/process.h"
#include "core/base/strings.h"
#include "run/native/capabilities.h"
#include "run/native/common_files.h"
#include "run/native/environment.h"
#include "run/native/kernel_files.h"
#include "run/native/mounts.h"
#include "run/native/namespaces.h"
#include "run/native/notify.h"
#include "run/native/volumes.h"

namespace actool::run::native {
namespace {

void replaceStandard(int from, int number) {
  if (::dup2(from, number) < 0) throwErrno("setting up standard input and output");
}

UniqueFd openTerminal(int dev, const Path& path) {
  UniqueFd terminal = openFileAt(dev, "pts/" + path.filename().string(), O_RDWR | O_NOCTTY);
  if (::ioctl(terminal.get(), TIOCSCTTY, 0) != 0) throwErrno("setting the controlling terminal");
  return terminal;
}

// Throws what errno says. Of a user namespace that has no such ID, the kernel says EINVAL.
[[noreturn]] void failForIds(std::string_view attempt, const Identity& identity) {
  const int error = errno;
  const SystemError cause(error, attempt);
  if (error != EINVAL) throw SystemError(cause);
  throw Error(fmt::format("user {} and group {} are not both among the pod's IDs", identity.uid,
                          identity.gid),
              "a pod that is not root's has those which /etc/subuid and /etc/subgid give its user, "
              "by newuidmap and newgidmap (package uidmap); without them, 0 alone");
}

// An app that opens /dev/stdout opens what is there again: it has to be its own.
void giveTo(const Identity& identity, int fd) {
  if (::fchown(fd, identity.shift + identity.uid, identity.shift + identity.gid) != 0)
    failForIds("giving the app its output", identity);
}

// One that goes straight through, unless the pod has a terminal of its own: then each of the
// three that was one becomes that.
void inheritStandardFile(const PodContext& context, int number, int dev, const UniqueFd& terminal) {
  if (terminal) {
    if (::isatty(number) == 1) replaceStandard(terminal.get(), number);
  } else if (number == STDIN_FILENO && !context.plan.options.interactive) {
    replaceStandard(openFileAt(dev, "null", O_RDONLY | O_NOCTTY).get(), number);
  }
}

void connectStandardFiles(const PodContext& context, std::size_t index, const Identity& identity,
                          int dev) {
  const Path& own = context.terminals[index];
  const UniqueFd terminal = !own.empty()                ? openTerminal(dev, own)
                            : !context.terminal.empty() ? openTerminal(dev, context.terminal)
                                                        : UniqueFd();
  const UniqueFd none;
  const UniqueFd& shared = own.empty() ? terminal : none;
  for (const int number : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    const auto which = static_cast<std::size_t>(number);
    const UniqueFd& file = context.files[index].stdio[which];
    switch (context.plan.apps[index].stdio[which]) {
      case StdioMode::inherit:
        inheritStandardFile(context, number, dev, shared);
        break;
      case StdioMode::null:
        replaceStandard(openFileAt(dev, "null", O_RDWR | O_NOCTTY).get(), number);
        break;
      case StdioMode::log:
      case StdioMode::stream:
        giveTo(identity, file.get());
        replaceStandard(file.get(), number);
        break;
      case StdioMode::tty:
        replaceStandard(terminal.get(), number);
        break;
    }
  }
}

Identity identityOf(const PodPlan& pod, const AppPlan& app, int root) {
  Identity identity = resolveIdentity(root, app.app.user, app.app.group,
                                      pod.options.users ? pod.options.users->first : 0);
  identity.userNamespace = pod.userNamespace;
  return identity;
}

// Variables that say what the executor has given this process.
std::map<std::string, std::string> executorVariables(const PodContext& context,
                                                     const AppFiles& files) {
  std::map<std::string, std::string> variables;
  if (!context.metadataUrl.empty()) variables["AC_METADATA_URL"] = context.metadataUrl;
  if (files.notify) variables[kNotifyVariable] = std::string("/dev/") + kNotifyName;
  if (!files.listen.empty()) {
    std::vector<std::string> names;
    for (const ListenSocket& socket : files.listen)
      names.push_back(socket.name);
    variables["LISTEN_FDS"] = std::to_string(files.listen.size());
    variables["LISTEN_PID"] = std::to_string(::getpid());
    variables["LISTEN_FDNAMES"] = join(names, ":");
  }
  return variables;
}

constexpr std::uint64_t kSystemAdministration = std::uint64_t{1} << CAP_SYS_ADMIN;

void setGroups(const AppPlan& app) {
  const auto& wanted = app.app.supplementaryGids;
  const std::vector<gid_t> groups(wanted.begin(), wanted.end());
  if (::setgroups(groups.size(), groups.data()) == 0) return;
  const SystemError cause(errno, "setting supplementary groups");
  // In a user namespace that was made without help the kernel lets no process have others than the
  // user has. None of them is one of the pod's IDs.
  const bool denied = cause.errnum() == EPERM && inUserNamespace();
  if (denied && groups.empty()) return;
  if (!denied && cause.errnum() != EINVAL) throw SystemError(cause);
  throw Error(
      "the pod can't have the supplementary groups " + fmt::format("{}", fmt::join(groups, ",")),
      "a pod that is not root's has those that /etc/subgid gives its user");
}

void limitPrivileges(const AppPlan& app, const Identity& identity) {
  // All that was done before needed the host's root; from here on the IDs are the pod's.
  if (identity.userNamespace >= 0 && ::setns(identity.userNamespace, CLONE_NEWUSER) != 0) {
    throwErrno("entering the pod's user namespace");
  }
  setGroups(app);
  if (::setresgid(identity.gid, identity.gid, identity.gid) != 0) {
    failForIds("setting the group", identity);
  }
  if (app.capabilities) limitBoundingSet(*app.capabilities);
  // The filter of system calls comes last, and to install it is privileged: the right to that is
  // kept until the program is executed, which leaves root what is in the bounding set, and
  // others nothing.
  const bool privilegedLast = app.filter && !app.noNewPrivileges;
  if (privilegedLast && ::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) {
    throwErrno("keeping capabilities");
  }
  if (::setresuid(identity.uid, identity.uid, identity.uid) != 0) {
    failForIds("setting the user", identity);
  }
  std::uint64_t keep = app.capabilities.value_or(kAllCapabilities);
  if (identity.uid != 0 && privilegedLast) keep = 0;
  limitOwnCapabilities(privilegedLast ? keep | kSystemAdministration : keep);
  if (app.noNewPrivileges && ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    throwErrno("setting no_new_privs");
  }
}

void setOomScoreAdj(int proc, int value) {
  const UniqueFd file = openFileAt(proc, "self/oom_score_adj", O_WRONLY);
  writeAll(file.get(), std::to_string(value), "oom_score_adj");
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

// It is made while this process is at its mounts.
void enterNetwork(const PodContext& context, const Channel& channel) {
  const std::optional<Message> message = channel.receive();
  if (!message) throw Error("the pod ends before it has begun");
  context.processors.restore();
  enterNetworkNamespace(message->fd.get());
}

// $TERM at a terminal that anything may be attached to.
const std::string kOwnTerm = "xterm";

// The order of containment.
void containAndRun(const PodContext& context, std::size_t index, const Channel& channel) {
  const AppPlan& app = context.plan.apps[index];
  const AppFiles& files = context.files[index];
  const AppIsolation& isolation = context.isolation[index];
  const bool protect = !context.plan.options.disablePaths;
  joinCgroups(isolation);
  resetSignals();
  if (::setsid() < 0) throwErrno("starting a session");

  const UniqueFd root = mountRoot(app.rootfs, protect);
  const Identity identity = identityOf(context.plan, app, root.get());
  KernelFiles kernelFiles(root.get(), protect);
  const UniqueFd proc = kernelFiles.mountProc();
  if (isolation.oomScoreAdj) setOomScoreAdj(proc.get(), *isolation.oomScoreAdj);
  const UniqueFd dev =
      mountDevices(root.get(), context.devices,
                   context.terminals[index].empty() ? context.terminal : context.terminals[index]);
  if (context.networkComes) enterNetwork(context, channel);
  kernelFiles.mountSys();
  connectStandardFiles(context, index, identity, dev.get());
  if (files.notify) {
    const UniqueFd socket = bindNotifySocket(dev.get());
    channel.send(MessageKind::notify, app.name.str(), socket.get());
  }
  provideCommonFiles(root.get(), context.plan, app, context.layout.stage1Rootfs());
  mountVolumes(root.get(), app.mounts, app.shown(), protect, context.plan.userNamespace);
  if (app.readOnlyRoot) setMountAttributes(root.get(), MOUNT_ATTR_RDONLY, 0, false);
  enterRoot(root.get());

  if (!app.postStop.empty()) {
    const UniqueFd own = openFileAt(proc.get(), "self/ns/mnt", O_RDONLY);
    channel.send(MessageKind::mountNamespace, "", own.get());
  }
  const std::string& term = context.terminals[index].empty() ? context.term : kOwnTerm;
  const std::vector<std::string> environment =
      composeEnvironment(app.name, app.app, identity, term, executorVariables(context, files));
  if (!app.preStart.empty()) runPreStart(app, identity, environment, channel);
  becomeProgram(app, identity, environment, app.app.exec, files.listen);
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
                   const std::vector<std::string>& argv, const std::vector<ListenSocket>& listen) {
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
  placeListenSockets(listen);
  std::vector<char*> variables = pointers(environment);
  const std::vector<char*> words = pointers(argv);
  ::environ = variables.data();  // where execvp(3) takes PATH from
  setSecurityLabels(app.labels);
  if (app.filter) installFilter(*app.filter);
  ::execvp(words[0], words.data());
  execFailed(errno, argv[0]);
}

void runApp(const PodContext& context, std::size_t index, const Channel& channel) {
  reportFailure(context.plan.apps[index], channel, [&] { containAndRun(context, index, channel); });
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
      const Identity identity = identityOf(context.plan, app, root.get());
      std::map<std::string, std::string> variables;
      if (!context.metadataUrl.empty()) variables["AC_METADATA_URL"] = context.metadataUrl;
      becomeProgram(app, identity,
                    composeEnvironment(app.name, app.app, identity, context.term, variables),
                    app.postStop);
    });
  });
}

}  // namespace actool::run::native
