#include "run/native/supervisor.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <optional>
#include <vector>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/process.h"
#include "run/native/app.h"
#include "run/native/devices.h"
#include "run/native/mounts.h"
#include "run/native/namespaces.h"

namespace actool::run::native {
namespace {

using Clock = std::chrono::steady_clock;

// The descriptor that leads outside, once the others are closed.
constexpr int kOuterFd = STDERR_FILENO + 1;

enum class AppPhase { starting, running, postStop, gone };

struct AppState {
  AppPhase phase = AppPhase::starting;
  pid_t pid = -1;
  std::optional<Channel> channel;  // until the program has begun
  UniqueFd mountNamespace;         // when there is a post-stop handler
  bool failedToStart = false;
  std::optional<Clock::time_point> killAt;
};

class Supervisor {
 public:
  Supervisor(const PodContext& context, const Channel& outer)
      : context_(context), outer_(outer), apps_(context.plan.apps.size()) {}

  void startApps();
  int loop();  // the pod's exit code

 private:
  void handleSignals();
  void passOn(int signal);
  void signalApp(AppState& app, int signal);
  void beginStop();
  void killLate();
  int pollTimeout() const;
  void readChannel(std::size_t index);
  void reap();
  void ended(std::size_t index, const ExitStatus& status);
  void startPostStop(std::size_t index);
  const AppPlan& planOf(std::size_t index) const { return context_.plan.apps[index]; }
  bool allGone() const;
  bool anyRuns() const;  // but for post-stop handlers

  const PodContext& context_;
  const Channel& outer_;
  std::vector<AppState> apps_;
  UniqueFd signals_;
  int exitCode_ = 0;
  bool stopping_ = false;
};

void Supervisor::startApps() {
  sigset_t mask;
  ::sigemptyset(&mask);
  ::sigaddset(&mask, SIGCHLD);
  for (const int signal : kForwardedSignals)
    ::sigaddset(&mask, signal);
  if (::sigprocmask(SIG_BLOCK, &mask, nullptr) != 0) throwErrno("blocking signals");
  signals_.reset(::signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_) throwErrno("receiving signals");

  // No app begins before all have their process, which is what appPid() promises.
  Pipe gate = makePipe();
  for (std::size_t i = 0; i < apps_.size(); ++i) {
    auto [ours, theirs] = Channel::makePair();
    const pid_t pid = cloneProcess(CLONE_NEWNS);
    if (pid == 0) {
      gate.write.reset();
      char byte = 0;
      while (::read(gate.read.get(), &byte, 1) < 0 && errno == EINTR) {
      }
      // The only other descriptors belong to other apps' channels and to the supervisor; an end
      // of a channel kept open here would hide that the app at it has begun.
      theirs.moveTo(kOuterFd);
      ::close_range(kOuterFd + 1, UINT_MAX, 0);
      runApp(context_, planOf(i), theirs);
    }
    if (pid != appPid(i)) throw Error("an app's process did not get its number in the pod");
    apps_[i].pid = pid;
    apps_[i].channel = std::move(ours);
  }
}

// From here on nothing of the host's file systems can be reached through this process.
void leaveHostTree() {
  const UniqueFd empty =
      newMount("tmpfs", {{"mode", "0555"}, {"size", "4k"}},
               MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
  attachMount(empty.get(), openFile(".", O_PATH | O_DIRECTORY).get(), "an empty root directory");
  enterRoot(empty.get());
}

bool Supervisor::allGone() const {
  return std::all_of(apps_.begin(), apps_.end(),
                     [](const AppState& app) { return app.phase == AppPhase::gone; });
}

bool Supervisor::anyRuns() const {
  return std::any_of(apps_.begin(), apps_.end(), [](const AppState& app) {
    return app.phase == AppPhase::starting || app.phase == AppPhase::running;
  });
}

int Supervisor::loop() {
  while (!allGone()) {
    std::vector<pollfd> fds = {{signals_.get(), POLLIN, 0}, {outer_.fd(), POLLIN, 0}};
    std::vector<std::size_t> owners;
    for (std::size_t i = 0; i < apps_.size(); ++i) {
      if (!apps_[i].channel) continue;
      fds.push_back({apps_[i].channel->fd(), POLLIN, 0});
      owners.push_back(i);
    }
    if (::poll(fds.data(), fds.size(), pollTimeout()) < 0 && errno != EINTR) {
      throwErrno("waiting for the apps");
    }
    // Outside says nothing; its end closes when the process there is gone, and so does the pod.
    if (fds[1].revents != 0) return 128 + SIGKILL;
    for (std::size_t k = 0; k < owners.size(); ++k) {
      if (fds[k + 2].revents != 0) readChannel(owners[k]);
    }
    if (fds[0].revents != 0) handleSignals();
    killLate();
  }
  return exitCode_;
}

int Supervisor::pollTimeout() const {
  std::optional<Clock::time_point> first;
  for (const AppState& app : apps_) {
    if (app.killAt && (!first || *app.killAt < *first)) first = app.killAt;
  }
  if (!first) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*first - Clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, INT_MAX));
}

void Supervisor::handleSignals() {
  signalfd_siginfo info{};
  while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
    const int signal = static_cast<int>(info.ssi_signo);
    if (signal == SIGCHLD) continue;
    // A sender inside of the pod has a PID here; only the outside, which has none, steers the pod.
    if (info.ssi_pid == 0) passOn(signal);
  }
  reap();
}

void Supervisor::passOn(int signal) {
  if (signal == SIGTERM) {
    beginStop();
    return;
  }
  for (AppState& app : apps_)
    signalApp(app, signal);
}

void Supervisor::signalApp(AppState& app, int signal) {
  if (app.phase == AppPhase::gone) return;
  // While it starts, the pre-start handler beside it is meant too.
  if (app.phase == AppPhase::starting && ::kill(-app.pid, signal) == 0) return;
  ::kill(app.pid, signal);
}

void Supervisor::beginStop() {
  stopping_ = true;
  const Clock::time_point killAt = Clock::now() + std::chrono::seconds(kStopSeconds);
  for (AppState& app : apps_) {
    // A post-stop handler is what stopping is for: it is only given an end.
    if (app.phase != AppPhase::postStop) signalApp(app, SIGTERM);
    if (app.phase != AppPhase::gone && !app.killAt) app.killAt = killAt;
  }
}

void Supervisor::killLate() {
  for (AppState& app : apps_) {
    if (!app.killAt || *app.killAt > Clock::now()) continue;
    signalApp(app, SIGKILL);
    app.killAt.reset();
  }
}

void Supervisor::readChannel(std::size_t index) {
  AppState& app = apps_[index];
  while (app.channel) {
    std::optional<Message> message = app.channel->receive(false);
    if (message && message->kind == MessageKind::mountNamespace) {
      app.mountNamespace = std::move(message->fd);
    } else if (message && app.phase == AppPhase::postStop) {
      log::warn("{}", message->payload);  // the app has had its exit status
    } else if (message) {
      app.failedToStart = true;
      outer_.send(MessageKind::failure, message->payload);
    } else {
      if (!app.channel->atEnd()) return;
      app.channel.reset();
      if (app.phase == AppPhase::starting) app.phase = AppPhase::running;
    }
  }
}

void Supervisor::reap() {
  int status = 0;
  while (true) {
    const pid_t pid = ::waitpid(-1, &status, WNOHANG);
    if (pid <= 0) return;
    for (std::size_t i = 0; i < apps_.size(); ++i) {
      if (apps_[i].pid != pid || apps_[i].phase == AppPhase::gone) continue;
      ended(i, {WIFSIGNALED(status), WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status)});
    }
  }
}

void Supervisor::ended(std::size_t index, const ExitStatus& status) {
  readChannel(index);  // what it said last
  AppState& app = apps_[index];
  app.killAt.reset();
  app.channel.reset();
  app.pid = -1;
  if (app.phase == AppPhase::postStop) {
    if (!status.ok()) {
      log::warn("{}: its post-stop handler {}", planOf(index).shown(), status.describe());
    }
    app.phase = AppPhase::gone;
    return;
  }
  app.phase = AppPhase::gone;
  const int code = app.failedToStart ? kFailedCode : status.shellCode();
  if (!app.failedToStart) {
    outer_.send(MessageKind::appExited, std::to_string(index) + " " + std::to_string(code));
    if (app.mountNamespace) startPostStop(index);
  }
  if (code == 0) return;
  if (exitCode_ == 0) exitCode_ = code;
  if (!stopping_ && anyRuns()) beginStop();
}

void Supervisor::startPostStop(std::size_t index) {
  AppState& app = apps_[index];
  auto [ours, theirs] = Channel::makePair();
  const pid_t pid = cloneProcess(0);
  if (pid == 0) runPostStop(context_, planOf(index), app.mountNamespace.get(), theirs);
  app.pid = pid;
  app.channel = std::move(ours);
  app.phase = AppPhase::postStop;
  if (stopping_) app.killAt = Clock::now() + std::chrono::seconds(kStopSeconds);
}

// When the process outside dies, so does the pod. It may be dead already: then the other end of
// `outer` is closed, which loop() sees.
void dieWithOuter() {
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) throwErrno("binding the pod to its parent");
}

int run(const PodPlan& plan, const PodLayout& layout, const Channel& outer) {
  dieWithOuter();
  // Until it executes, no process of the pod can trace or look into one of ours.
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) throwErrno("hiding the supervisor");
  if (::setsid() < 0) throwErrno("starting a session");
  ::umask(0);
  leaveSessionKeyring();
  setHostName(plan.hostname);
  if (!plan.options.hostNetwork) bringLoopbackUp();

  makeMountsPrivate();
  const SharedDevices devices(layout.stage1Rootfs(), !plan.options.hostIpc);
  const char* term = ::getenv("TERM");
  PodContext context{plan, layout, devices, {}, {}};
  if (plan.options.interactive) {
    context.term = term != nullptr ? term : "vt100";
    if (::isatty(STDIN_FILENO) == 1) {
      const UniqueFd master = devices.openTerminal(context.terminal);
      outer.send(MessageKind::terminal, "", master.get());
    }
  }

  Supervisor supervisor(context, outer);
  supervisor.startApps();
  leaveHostTree();
  return supervisor.loop();
}

}  // namespace

void supervise(const PodPlan& plan, const PodLayout& layout, Channel outer) {
  int code = kFailedCode;
  try {
    // The pod's lock is among what goes: it is held outside.
    outer.moveTo(kOuterFd);
    if (::close_range(kOuterFd + 1, UINT_MAX, 0) != 0) throwErrno("closing descriptors");
    code = run(plan, layout, outer);
  } catch (const Error& error) {
    outer.send(MessageKind::failure, error.what());
  }
  ::_exit(code);
}

}  // namespace actool::run::native
