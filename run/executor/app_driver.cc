#include "run/executor/app_driver.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <climits>
#include <csignal>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/process.h"
#include "run/executor/app_pid.h"
#include "run/native/signals.h"
#include "run/native/supervisor.h"

namespace actool::run::executor {
namespace {

using Clock = std::chrono::steady_clock;

struct AppState {
  std::optional<AppStep> step;  // which program runs; nothing: none does any more
  pid_t pid = -1;
  std::optional<Clock::time_point> killAt;
};

class PodRunner {
 public:
  PodRunner(const native::PodPlan& plan, const PodLayout& layout, AppDriver& driver)
      : plan_(plan), layout_(layout), driver_(driver), apps_(plan.apps.size()) {}

  int run();

 private:
  void takeSignals();
  void begin(std::size_t index);
  void start(std::size_t index, AppStep step, const std::vector<std::string>& argv);
  void handleSignals();
  void passOn(int signal);
  void reap();
  void ended(std::size_t index, const ExitStatus& status);
  void failed(int code);
  void signalApp(const AppState& app, int signal);
  void beginStop();
  void killLate();
  int pollTimeout() const;
  bool anyRuns() const;

  const native::PodPlan& plan_;
  const PodLayout& layout_;
  AppDriver& driver_;
  std::vector<AppState> apps_;
  UniqueFd signals_;
  std::optional<Error> failure_;  // the first; what follows from it is no news
  int exitCode_ = 0;
  bool stopping_ = false;
};

int PodRunner::run() {
  makeDirs(layout_.statusDir());
  takeSignals();
  const Path fresh = layout_.dir() / "pid.new";
  writeFilePlain(fresh, std::to_string(::getpid()) + "\n");
  if (::rename(fresh.c_str(), layout_.pid().c_str()) != 0) {
    throwErrno("writing " + layout_.pid().string());
  }

  for (std::size_t i = 0; i < apps_.size() && !stopping_; ++i)
    begin(i);
  while (anyRuns()) {
    std::vector<pollfd> waiting{{signals_.get(), POLLIN, 0}};
    native::Terminal* terminal = driver_.terminal();
    if (terminal != nullptr) terminal->addTo(waiting);
    if (::poll(waiting.data(), waiting.size(), pollTimeout()) < 0 && errno != EINTR) {
      throwErrno("waiting for the apps");
    }
    if (terminal != nullptr) terminal->handle(waiting);
    if (waiting[0].revents != 0) handleSignals();
    killLate();
  }
  if (failure_) throw Error(*failure_);
  return exitCode_;
}

void PodRunner::takeSignals() {
  signals_ = native::receiveSignals(native::kForwardedSignals, {SIGCHLD});
}

void PodRunner::begin(std::size_t index) {
  const native::AppPlan& app = plan_.apps[index];
  if (app.preStart.empty()) {
    start(index, AppStep::main, app.app.exec);
  } else {
    start(index, AppStep::preStart, app.preStart);
  }
}

void PodRunner::start(std::size_t index, AppStep step, const std::vector<std::string>& argv) {
  const native::AppPlan& app = plan_.apps[index];
  AppState& state = apps_[index];
  try {
    withContext(app.shown(), [&] { state.pid = driver_.start(app, step, argv); });
    state.step = step;
    if (step == AppStep::main) writeAppPid(layout_, app.name, state.pid);
    if (stopping_) state.killAt = Clock::now() + std::chrono::seconds(native::kStopSeconds);
  } catch (const Error& error) {
    state.step.reset();
    if (step == AppStep::postStop) {
      log::warn("{}", error.what());  // the app has had its exit status
      return;
    }
    if (!failure_) failure_ = error;
    failed(static_cast<int>(ExitCode::failure));
  }
}

void PodRunner::handleSignals() {
  signalfd_siginfo info{};
  while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
    const int signal = static_cast<int>(info.ssi_signo);
    if (signal == SIGCHLD) continue;
    if (signal == SIGTERM) {
      beginStop();
    } else {
      passOn(signal);
    }
  }
  reap();
}

void PodRunner::passOn(int signal) {
  if (native::Terminal* terminal = driver_.terminal(); terminal != nullptr && signal == SIGWINCH) {
    terminal->copySize();  // the kernel tells the processes at the pod's terminal
    return;
  }
  for (const AppState& app : apps_)
    signalApp(app, signal);
}

void PodRunner::reap() {
  int status = 0;
  while (true) {
    const pid_t pid = ::waitpid(-1, &status, WNOHANG);
    if (pid <= 0) return;
    for (std::size_t i = 0; i < apps_.size(); ++i) {
      if (apps_[i].pid != pid || !apps_[i].step) continue;
      ended(i, {WIFSIGNALED(status), WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status)});
    }
  }
}

void PodRunner::ended(std::size_t index, const ExitStatus& status) {
  const native::AppPlan& app = plan_.apps[index];
  AppState& state = apps_[index];
  const AppStep step = *state.step;
  state = AppState{};
  driver_.ended(app, step);
  switch (step) {
    case AppStep::preStart:
      if (status.ok() && !stopping_) {
        start(index, AppStep::main, app.app.exec);
      } else if (!status.ok()) {
        if (!failure_) {
          failure_ = Error(app.shown() + ": its pre-start handler " + status.describe());
        }
        failed(static_cast<int>(ExitCode::failure));
      }
      return;
    case AppStep::main:
      removeAppPid(layout_, app.name);
      writeFilePlain(layout_.statusFile(app.name), std::to_string(status.shellCode()));
      if (!app.postStop.empty()) start(index, AppStep::postStop, app.postStop);
      failed(status.shellCode());
      return;
    case AppStep::postStop:
      if (!status.ok()) log::warn("{}: its post-stop handler {}", app.shown(), status.describe());
      return;
  }
}

// What an app's end means for the pod; 0 means nothing.
void PodRunner::failed(int code) {
  if (code == 0) return;
  if (exitCode_ == 0) exitCode_ = code;
  if (!stopping_) beginStop();
}

void PodRunner::signalApp(const AppState& app, int signal) {
  if (app.step) driver_.signal(app.pid, signal);
}

void PodRunner::beginStop() {
  stopping_ = true;
  const Clock::time_point killAt = Clock::now() + std::chrono::seconds(native::kStopSeconds);
  for (AppState& app : apps_) {
    if (!app.step) continue;
    // A post-stop handler is what stopping is for: it is only given an end.
    if (*app.step != AppStep::postStop) signalApp(app, SIGTERM);
    if (!app.killAt) app.killAt = killAt;
  }
}

void PodRunner::killLate() {
  for (AppState& app : apps_) {
    if (!app.killAt || *app.killAt > Clock::now()) continue;
    signalApp(app, SIGKILL);
    app.killAt.reset();
  }
}

int PodRunner::pollTimeout() const {
  std::optional<Clock::time_point> first;
  for (const AppState& app : apps_) {
    if (app.killAt && (!first || *app.killAt < *first)) first = app.killAt;
  }
  if (!first) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*first - Clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, INT_MAX));
}

bool PodRunner::anyRuns() const {
  return std::any_of(apps_.begin(), apps_.end(),
                     [](const AppState& app) { return app.step.has_value(); });
}

}  // namespace

int runApps(const native::PodPlan& plan, const PodLayout& layout, AppDriver& driver) {
  return PodRunner(plan, layout, driver).run();
}

}  // namespace actool::run::executor
