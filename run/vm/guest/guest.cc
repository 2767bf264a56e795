#include "run/vm/guest/guest.h"

#include <poll.h>
#include <sys/inotify.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <list>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/process.h"
#include "core/base/strings.h"
#include "run/native/enter.h"
#include "run/native/pod.h"
#include "run/native/signals.h"
#include "run/native/supervisor.h"
#include "run/vm/guest/job.h"
#include "run/vm/guest/setup.h"

namespace actool::run::vm {
namespace {

constexpr std::size_t kMaxSmallFile = 4096;
constexpr std::size_t kMaxReport = kMaxFramePayload / 2;

class Guest {
 public:
  Guest(const GuestConfig& config, UniqueFd port) : config_(config), link_(std::move(port)) {}
  // Returns when the host is gone.
  void run();

 private:
  void takeSignals();
  void watchRecords();
  void start(std::uint16_t number, bool terminal, const std::string& term,
             const std::function<int()>& work);
  void take(const Frame& frame);
  void startEntering(const Frame& frame);
  void readRecords();
  void tell(const std::string& name, bool status);
  void reap();
  Job* find(std::uint16_t number);

  const GuestConfig& config_;
  const PodLayout layout_{"."};
  Link link_;
  UniqueFd signals_;
  UniqueFd records_;
  int statusWatch_ = -1;
  std::list<Job> jobs_;
};

void Guest::takeSignals() {
  // What the host says is for the pod may come before the pod's process takes signals.
  native::blockSignals(native::kForwardedSignals);
  signals_ = native::receiveSignals({}, {SIGCHLD});
}

// The native stage1 records in the pod's directory what the host's is to have.
void Guest::watchRecords() {
  makeDirs(layout_.statusDir());
  records_.reset(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  constexpr std::uint32_t kEvents = IN_MOVED_TO | IN_CREATE | IN_CLOSE_WRITE;
  statusWatch_ = ::inotify_add_watch(records_.get(), layout_.statusDir().c_str(), IN_CLOSE_WRITE);
  if (statusWatch_ < 0 || ::inotify_add_watch(records_.get(), ".", IN_MOVED_TO) < 0 ||
      ::inotify_add_watch(records_.get(), layout_.readyMark().parent_path().c_str(), kEvents) < 0) {
    throwErrno("watching the pod's records");
  }
}

void Guest::start(std::uint16_t number, bool terminal, const std::string& term,
                  const std::function<int()>& work) {
  try {
    jobs_.emplace_back(number, terminal, term, work);
  } catch (const Error& error) {
    const std::string code = std::to_string(static_cast<int>(error.code()));
    link_.send(FrameKind::failure, number, code + " " + error.what());
    link_.send(FrameKind::ended, number, code);
  }
}

void Guest::run() {
  takeSignals();
  watchRecords();
  start(kPodJob, config_.terminal, config_.term,
        [this] { return native::runPod(setUpPod(config_, layout_), layout_); });
  while (true) {
    std::vector<pollfd> fds = {{link_.fd(), link_.events(true), 0},
                               {signals_.get(), POLLIN, 0},
                               {records_.get(), POLLIN, 0}};
    for (const Job& job : jobs_)
      job.addTo(fds);
    if (::poll(fds.data(), fds.size(), -1) < 0 && errno != EINTR) throwErrno("waiting");
    if ((fds[0].revents & POLLOUT) != 0) link_.flush();
    for (Job& job : jobs_) {
      for (std::size_t i = 3; i < fds.size(); ++i)
        job.handle(fds[i], link_);
    }
    if ((fds[0].revents & ~POLLOUT) != 0) {
      if (!link_.fill()) return;
      while (const auto frame = link_.next())
        take(*frame);
    }
    if (fds[2].revents != 0) readRecords();
    if (fds[1].revents != 0) reap();
  }
}

Job* Guest::find(std::uint16_t number) {
  const auto found = std::find_if(jobs_.begin(), jobs_.end(),
                                  [&](const Job& job) { return job.number() == number; });
  return found == jobs_.end() ? nullptr : &*found;
}

void Guest::take(const Frame& frame) {
  if (frame.kind == FrameKind::start) {
    startEntering(frame);
    return;
  }
  Job* job = find(frame.job);
  if (job == nullptr) return;  // it has just ended
  if (frame.kind == FrameKind::input) job->input(frame.payload);
  if (frame.kind == FrameKind::size) job->resize(frame.payload);
  const std::uint64_t number = parseUint(frame.payload).value_or(0);
  if (frame.kind == FrameKind::taken) job->taken(number);
  if (frame.kind == FrameKind::signal && number > 0 && number < NSIG) {
    ::kill(job->pid(), static_cast<int>(number));
  }
}

void Guest::startEntering(const Frame& frame) {
  const EnterRequest request = parseEnterRequest(frame.payload);
  start(frame.job, request.terminal, request.term, [this, request] {
    const auto pid = parseUint(trim(readFile(layout_.pid(), kMaxSmallFile)));
    native::EnterOptions options;
    options.pid = static_cast<pid_t>(pid.value());
    options.app = request.app;
    options.command = request.command;
    return native::enterApp(options, layout_);
  });
}

void Guest::readRecords() {
  alignas(inotify_event) std::array<char, 65536> events{};
  const ssize_t count = ::read(records_.get(), events.data(), events.size());
  for (ssize_t at = 0; at < count;) {
    inotify_event event{};
    std::memcpy(&event, events.data() + at, sizeof event);
    if (event.len > 0) tell(events.data() + at + sizeof event, event.wd == statusWatch_);
    at += static_cast<ssize_t>(sizeof event + event.len);
  }
}

void Guest::tell(const std::string& name, bool status) {
  if (status) {
    const std::string code = readFile(layout_.statusDir() / name, kMaxSmallFile);
    link_.send(FrameKind::appExited, kPodJob, name + " " + code);
  } else if (name == layout_.pid().filename()) {
    const auto report = tryReadFile(layout_.isolatorsFile(), kMaxReport);
    link_.send(FrameKind::up, kPodJob, report.value_or(""));
  } else if (name == layout_.readyMark().filename()) {
    link_.send(FrameKind::ready, kPodJob, "");
  }
}

void Guest::reap() {
  signalfd_siginfo info{};
  while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
  }
  int status = 0;
  while (true) {
    const pid_t pid = ::waitpid(-1, &status, WNOHANG);
    if (pid <= 0) return;
    for (auto job = jobs_.begin(); job != jobs_.end(); ++job) {
      if (job->pid() != pid) continue;
      readRecords();  // what the host is to know first
      ::sync();       // of what is on the host
      const ExitStatus ended{WIFSIGNALED(status),
                             WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status)};
      job->finish(ended.shellCode(), link_);
      jobs_.erase(job);
      break;
    }
  }
}

}  // namespace

int initEntry(const std::vector<std::string>& /*arguments*/) {
  if (::getpid() != 1) throw UsageError("this is the first program of a virtual machine");
  try {
    const GuestConfig config = setUpGuest();
    log::setProgram("guest");
    ::setenv("PATH", "/sbin:/bin", 1);
    Guest(config, openPort()).run();
  } catch (const Error& error) {
    log::error("{}", error.what());  // to the console, which the host shows
  }
  ::sync();
  ::reboot(RB_POWER_OFF);
  return 0;
}

}  // namespace actool::run::vm
