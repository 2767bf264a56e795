#include "core/base/process.h"

#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <thread>

#include "core/base/error.h"

extern "C" char** environ;

namespace actool {
namespace {

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> list;
  list.reserve(strings.size() + 1);
  // execve(2) takes char* but does not write to what it is given.
  for (const std::string& text : strings)
    list.push_back(const_cast<char*>(text.c_str()));
  list.push_back(nullptr);
  return list;
}

Path searchPath(const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  const char* value = std::getenv("PATH");
  std::string_view rest = value != nullptr ? value : "/usr/local/bin:/usr/bin:/bin";
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(':'), rest.size());
    const Path candidate = Path(rest.substr(0, end)) / name;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  throw NotFoundError("no program " + name + " in PATH");
}

struct ChildPlan {
  const char* program;
  char* const* argv;
  char* const* env;
  const std::vector<std::pair<int, int>>* moves;  // child's number, ours
  int errorPipe;
  bool newSession;
  bool dieWithParent;
  pid_t parent;
};

// Runs in the child between fork and exec: async-signal-safe calls only.
[[noreturn]] void runChild(const ChildPlan& plan, std::vector<int>& scratch) {
  const auto fail = [&] {
    const int error = errno;
    [[maybe_unused]] const ssize_t ignored = ::write(plan.errorPipe, &error, sizeof error);
    ::_exit(127);
  };
  if (plan.newSession && ::setsid() < 0) fail();
  if (plan.dieWithParent) {
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) fail();
    if (::getppid() != plan.parent) ::_exit(127);  // it died before the prctl
  }
  // Descriptors are first copied above all targets, so that no target overwrites a source.
  const int base = 64;
  for (std::size_t i = 0; i < plan.moves->size(); ++i) {
    scratch[i] = ::fcntl((*plan.moves)[i].second, F_DUPFD_CLOEXEC, base);
    if (scratch[i] < 0) fail();
  }
  for (std::size_t i = 0; i < plan.moves->size(); ++i) {
    if (::dup2(scratch[i], (*plan.moves)[i].first) < 0) fail();
  }
  struct sigaction standard {};
  standard.sa_handler = SIG_DFL;
  ::sigaction(SIGPIPE, &standard, nullptr);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execve(plan.program, plan.argv, plan.env);
  fail();
  __builtin_unreachable();
}

ExitStatus decode(int status) {
  if (WIFSIGNALED(status)) return {true, WTERMSIG(status)};
  return {false, WEXITSTATUS(status)};
}

}  // namespace

void keepHeap() {
  constexpr int kPiece = 512 << 10;
  ::mallopt(M_TOP_PAD, kPiece);
  ::mallopt(M_TRIM_THRESHOLD, 16 * kPiece);
}

std::string ExitStatus::describe() const {
  if (!signaled) return "exited with " + std::to_string(value);
  const char* abbreviation = ::sigabbrev_np(value);
  return abbreviation != nullptr ? std::string("was killed by SIG") + abbreviation
                                 : "was killed by signal " + std::to_string(value);
}

Child Child::spawn(const SpawnOptions& options) {
  const Path program = options.program.empty() ? searchPath(options.argv.at(0)) : options.program;
  const std::vector<char*> argv = pointers(options.argv);
  const std::vector<char*> env = options.env ? pointers(*options.env) : std::vector<char*>();
  const std::vector<std::pair<int, int>> moves(options.fds.begin(), options.fds.end());
  std::vector<int> scratch(moves.size());
  Pipe report = makePipe();

  ChildPlan plan{program.c_str(),
                 argv.data(),
                 options.env ? env.data() : environ,
                 &moves,
                 report.write.get(),
                 options.newSession,
                 options.dieWithParent,
                 ::getpid()};
  // The error pipe must not be hit by dup2: it lives above every target.
  const UniqueFd errorEnd(::fcntl(report.write.get(), F_DUPFD_CLOEXEC, 128));
  if (!errorEnd) throwErrno("starting " + program.string());
  plan.errorPipe = errorEnd.get();

  const pid_t pid = ::fork();
  if (pid < 0) throwErrno("starting " + program.string());
  if (pid == 0) runChild(plan, scratch);

  Child child(pid);
  report.write.reset();
  const_cast<UniqueFd&>(errorEnd).reset();
  int error = 0;
  const std::size_t got =
      readFull(report.read.get(), std::as_writable_bytes(std::span<int, 1>(&error, 1)),
               "the start report of " + program.string());
  if (got == sizeof error) {
    child.wait();
    if (error == ENOENT) throw NotFoundError("no program " + program.string());
    throw SystemError(error, "starting " + program.string());
  }
  return child;
}

Child::Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}

Child& Child::operator=(Child&& other) noexcept {
  std::swap(pid_, other.pid_);
  return *this;
}

Child::~Child() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
}

ExitStatus Child::wait() {
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0) {
    if (errno != EINTR) throwErrno("waiting for process " + std::to_string(pid_));
  }
  pid_ = -1;
  return decode(status);
}

std::optional<ExitStatus> Child::poll() {
  int status = 0;
  const pid_t done = ::waitpid(pid_, &status, WNOHANG);
  if (done < 0 && errno != EINTR) throwErrno("waiting for process " + std::to_string(pid_));
  if (done <= 0) return std::nullopt;
  pid_ = -1;
  return decode(status);
}

void Child::kill(int signal) noexcept {
  if (pid_ > 0) ::kill(pid_, signal);
}

CommandResult runCommand(const std::vector<std::string>& argv, std::size_t limit,
                         std::optional<std::string> input) {
  SpawnOptions options;
  options.argv = argv;
  Pipe out = makePipe();
  Pipe in;
  UniqueFd null;
  if (input) {
    in = makePipe();
    options.fds[0] = in.read.get();
  } else {
    null = openFile("/dev/null", O_RDONLY);
    options.fds[0] = null.get();
  }
  options.fds[1] = out.write.get();
  Child child = Child::spawn(options);
  out.write.reset();
  in.read.reset();
  // A thread feeds, so that a child that writes before it has read all does not deadlock.
  std::jthread feeder;
  if (input) {
    feeder = std::jthread([fd = std::move(in.write), text = std::move(*input)] {
      // A child that stops reading raises SIGPIPE in this thread alone; blocked, it goes with it.
      sigset_t pipeSignal;
      ::sigemptyset(&pipeSignal);
      ::sigaddset(&pipeSignal, SIGPIPE);
      ::pthread_sigmask(SIG_BLOCK, &pipeSignal, nullptr);
      std::string_view rest = text;
      while (!rest.empty()) {
        const ssize_t count = ::write(fd.get(), rest.data(), rest.size());
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return;  // the child stopped reading; its exit status tells why
        rest.remove_prefix(static_cast<std::size_t>(count));
      }
    });
  }
  CommandResult result;
  result.out = readAll(out.read.get(), limit, "the output of " + argv.at(0));
  result.status = child.wait();
  return result;
}

}  // namespace actool
