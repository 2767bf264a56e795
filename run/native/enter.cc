#include "run/native/enter.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <map>
#include <string>

#include "core/base/error.h"
#include "core/base/fs.h"
#include "core/base/process.h"
#include "core/base/strings.h"
#include "core/schema/image_manifest.h"
#include "core/schema/pod_manifest.h"
#include "run/native/app.h"
#include "run/native/environment.h"
#include "run/native/namespaces.h"
#include "run/native/plan.h"
#include "run/native/signals.h"
#include "run/native/supervisor.h"

namespace actool::run::native {
namespace {

constexpr std::size_t kMaxProcFile = 1 << 20;
constexpr std::size_t kMaxPidText = 32;
constexpr std::uint64_t kForkedOnly = 0x40;  // PF_FORKNOEXEC of linux/sched.h
constexpr std::chrono::milliseconds kLookAgain{5};
constexpr int kLooks = 2000;

std::string readProc(const std::string& path) {
  const UniqueFd file = openFile(path, O_RDONLY);
  return readAll(file.get(), kMaxProcFile, path);
}

struct Entered {
  AppPlan app;
  pid_t inner;  // its PID in the pod
};

Entered findApp(const EnterOptions& options, const PodLayout& layout) {
  // What is left alone here is checked when the pod runs: the UUID and the host name.
  const RunOptions run(*Uuid::parse("00000000-0000-0000-0000-000000000000"));
  AppPlan app = loadAppPlan(options.app, run, layout);
  // Of a pod that changes it is on record; else the app's place in the manifest says it.
  if (const auto text = tryReadFile(layout.appPid(app.name), kMaxPidText)) {
    const auto pid = parseUint(trim(*text));
    if (!pid) throw Error("its PID is not on record");
    return {std::move(app), static_cast<pid_t>(*pid)};
  }
  const auto pod = schema::PodManifest::parse(
      readFile(layout.manifest(), schema::kMaxPodManifestBytes), "the pod's manifest");
  std::size_t index = 0;
  while (index < pod.apps.size() && pod.apps[index].name != app.name)
    ++index;
  return {std::move(app), appPid(index)};
}

// Of its metadata service, when the pod has one.
std::map<std::string, std::string> podVariables(const PodLayout& layout) {
  const auto url = tryReadFile(layout.metadataUrl(), kMaxProcFile);
  if (!url) return {};
  return {{"AC_METADATA_URL", std::string(trim(*url))}};
}

// The app's process as a pidfd: that child of the supervisor which has the app's number inside,
// once it is the app.
UniqueFd openAppProcess(pid_t supervisor, pid_t inner, const std::string& shown) {
  const std::string dir = "/proc/" + std::to_string(supervisor);
  const std::string children = readProc(dir + "/task/" + std::to_string(supervisor) + "/children");
  for (const std::string_view word : split(children, ' ')) {
    const auto pid = parseUint(trim(word));
    if (!pid) continue;
    UniqueFd process = openProcess(static_cast<pid_t>(*pid));
    if (!process || innerPidOf(static_cast<pid_t>(*pid)) != inner) continue;
    awaitProgram(process, static_cast<pid_t>(*pid));
    return process;
  }
  throw NotFoundError(shown + " is not running");
}

// The command is not in our process group: what it sends to its own (kill 0) must not reach the
// host. At a terminal it becomes the foreground group, as a shell would have it.
void leaveProcessGroup() {
  const bool atTerminal = ::isatty(STDIN_FILENO) == 1 && ::tcgetpgrp(STDIN_FILENO) == ::getpgrp();
  if (!atTerminal) {
    if (::setsid() < 0) throwErrno("starting a session");
    return;
  }
  if (::setpgid(0, 0) != 0) throwErrno("starting a process group");
  ::signal(SIGTTOU, SIG_IGN);  // undone by resetSignals()
  if (::tcsetpgrp(STDIN_FILENO, ::getpgrp()) != 0) throwErrno("taking the terminal");
}

// Gives the terminal back to us in the end, when we had it.
class Foreground {
 public:
  Foreground() : held_(::tcgetpgrp(STDIN_FILENO) == ::getpgrp()) {}
  ~Foreground() {
    if (!held_) return;
    ::signal(SIGTTOU, SIG_IGN);
    ::tcsetpgrp(STDIN_FILENO, ::getpgrp());
  }
  Foreground(const Foreground&) = delete;
  Foreground& operator=(const Foreground&) = delete;

 private:
  bool held_;
};

[[noreturn]] void runInside(const AppPlan& app, const EnterOptions& options,
                            const std::map<std::string, std::string>& variables,
                            const EnteredUsers& users, const Channel& channel) {
  try {
    // Before anything of the image is looked at: the app's processes can see this one now.
    if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) throwErrno("hiding from the app");
    leaveProcessGroup();
    resetSignals();
    const UniqueFd root = openFile("/", O_PATH | O_DIRECTORY);
    Identity identity = resolveIdentity(root.get(), app.app.user, app.app.group, users.shift);
    identity.userNamespace = users.process;
    const char* term = ::getenv("TERM");
    becomeProgram(app, identity,
                  composeEnvironment(app.name, app.app, identity, term != nullptr ? term : "vt100",
                                     variables),
                  options.command);
  } catch (const Error& error) {
    channel.send(MessageKind::failure, error.what());
  }
  ::_exit(kFailedCode);
}

}  // namespace

#ifdef __SANITIZE_ADDRESS__
// LeakSanitizer looks at a process from a clone of it. One that has entered a pod without being
// in its PID namespace would wait for that clone for ever.
extern "C" int __lsan_is_turned_off() {  // NOLINT(readability-identifier-naming)
  struct stat own {};
  struct stat children {};
  return ::stat("/proc/self/ns/pid", &own) != 0 ||
         ::stat("/proc/self/ns/pid_for_children", &children) != 0 || own.st_ino != children.st_ino;
}
#endif

int runCommand(const AppPlan& app, const EnterOptions& options,
               const std::map<std::string, std::string>& variables, const EnteredUsers& users) {
  const UniqueFd signals = receiveSignals(kForwardedSignals);

  const Foreground foreground;
  auto [ours, theirs] = Channel::makePair();
  UniqueFd child;
  const pid_t pid = cloneProcess(0, &child);
  if (pid == 0) runInside(app, options, variables, users, theirs);
  theirs.close();

  std::array<pollfd, 2> fds = {{{signals.get(), POLLIN, 0}, {child.get(), POLLIN, 0}}};
  do {
    if (::poll(fds.data(), fds.size(), -1) < 0 && errno != EINTR) throwErrno("waiting");
    signalfd_siginfo info{};
    while (::read(signals.get(), &info, sizeof info) == sizeof info) {
      signalProcess(child.get(), static_cast<int>(info.ssi_signo));
    }
  } while (fds[1].revents == 0);

  int status = 0;
  while (::waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) throwErrno("waiting for the command");
  }
  const std::optional<Message> failure = ours.receive(false);
  if (failure) throw Error(failure->payload);
  return ExitStatus{WIFSIGNALED(status),
                    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status)}
      .shellCode();
}

std::optional<pid_t> innerPid(std::string_view status) {
  constexpr std::string_view kKey = "NSpid:";
  for (const std::string_view line : split(status, '\n')) {
    if (!line.starts_with(kKey)) continue;
    const std::vector<std::string_view> numbers = split(trim(line.substr(kKey.size())), '\t');
    const auto last = parseUint(numbers.back());
    if (numbers.size() < 2 || !last) return std::nullopt;
    return static_cast<pid_t>(*last);
  }
  return std::nullopt;
}

std::optional<pid_t> innerPidOf(pid_t pid) {
  const UniqueFd status = tryOpen("/proc/" + std::to_string(pid) + "/status", O_RDONLY);
  if (!status) return std::nullopt;
  return innerPid(readAll(status.get(), kMaxProcFile, "a process's status"));
}

bool hasNotExecuted(std::string_view stat) {
  constexpr std::size_t kFlags = 6;  // counted from what follows the program's name
  const std::size_t name = stat.rfind(')');
  if (name == std::string_view::npos) return false;
  const std::vector<std::string_view> fields = split(trim(stat.substr(name + 1)), ' ');
  const auto flags = fields.size() > kFlags ? parseUint(fields[kFlags]) : std::nullopt;
  return flags && (*flags & kForkedOnly) != 0;
}

void awaitBegin(const UniqueFd& process, const std::function<bool()>& begun) {
  for (int look = 0; look < kLooks; ++look) {
    const bool has = begun();
    pollfd end{process.get(), POLLIN, 0};
    const int ended = ::poll(&end, 1, has ? 0 : static_cast<int>(kLookAgain.count()));
    if (ended < 0 && errno != EINTR) throwErrno("waiting for the app to begin");
    if (ended > 0) throw NotFoundError("it is not running");
    if (has) return;
  }
  throw Error("it has not begun", "its pre-start handler may still run; see actool logs");
}

void awaitProgram(const UniqueFd& process, pid_t pid) {
  const std::string stat = "/proc/" + std::to_string(pid) + "/stat";
  awaitBegin(process, [&] {
    const UniqueFd file = tryOpen(stat, O_RDONLY);
    return file && !hasNotExecuted(readAll(file.get(), kMaxProcFile, "a process's state"));
  });
}

int enterApp(const EnterOptions& options, const PodLayout& layout) {
  const Entered entered = findApp(options, layout);
  const AppPlan& app = entered.app;
  return withContext(app.shown(), [&] {
    if (actool::exists(layout.statusFile(app.name))) throw NotFoundError("it has ended");
    const std::map<std::string, std::string> variables = podVariables(layout);
    const UniqueFd process = openAppProcess(options.pid, entered.inner, "it");
    EnteredUsers users;
    if (const auto text = tryReadFile(layout.ownUsers(), kMaxPidText)) {
      const auto range = IdRange::parse(trim(*text));
      if (!range) throw Error("the pod's range of IDs is not on record");
      users = {process.get(), range->first};
    }
    // All at once, so that they are of one process.
    constexpr int kNamespaces =
        CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET;
    if (::setns(process.get(), kNamespaces) != 0) throwErrno("entering its namespaces");

    return runCommand(app, options, variables, users);
  });
}

}  // namespace actool::run::native
