#include "run/native/supervisor.h"

#include <fcntl.h>
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
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/process.h"
#include "core/base/strings.h"
#include "run/native/app.h"
#include "run/native/devices.h"
#include "run/native/idle.h"
#include "run/native/metadata.h"
#include "run/native/mounts.h"
#include "run/native/namespaces.h"
#include "run/native/signals.h"

namespace actool::run::native {
namespace {

using Clock = std::chrono::steady_clock;

enum class AppPhase { starting, running, postStop, gone };

struct AppState {
  AppPhase phase = AppPhase::starting;
  pid_t pid = -1;
  std::optional<Channel> channel;  // until the program has begun
  UniqueFd mountNamespace;         // when there is a post-stop handler
  bool failedToStart = false;
  std::optional<Clock::time_point> killAt;
};

// The app's own pseudo-terminal, when one of its streams is to be one. Its master goes outside.
void makeTerminal(PodContext& context, const Channel& outer, std::size_t index) {
  const AppPlan& app = context.plan.apps[index];
  context.terminals[index].clear();
  if (std::find(app.stdio.begin(), app.stdio.end(), StdioMode::tty) == app.stdio.end()) return;
  const UniqueFd master = context.devices.openTerminal(context.terminals[index]);
  outer.send(MessageKind::terminal, app.name.str(), master.get());
}

class Supervisor {
 public:
  // `plan` is that of `context`.
  Supervisor(PodPlan& plan, PodContext& context, const Channel& outer)
      : plan_(plan), context_(context), outer_(outer), apps_(plan.apps.size()) {}

  void startApps();
  void bringNetwork();
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
  void spawn(std::size_t index, int gate);
  bool handleOuter();
  void startAdded(const std::string& name);
  void stopOne(const std::string& name);
  std::optional<std::size_t> find(const std::string& name) const;
  const AppPlan& planOf(std::size_t index) const { return plan_.apps[index]; }
  bool changing() const { return plan_.options.changing; }
  bool allGone() const;
  bool anyRuns() const;  // but for post-stop handlers

  PodPlan& plan_;
  PodContext& context_;
  const Channel& outer_;
  std::vector<AppState> apps_;
  StdioFds arrived_;  // for the app that is started next
  AppIsolation arrivedIsolation_;
  UniqueFd signals_;
  int exitCode_ = 0;
  bool stopping_ = false;
};

void Supervisor::startApps() {
  signals_ = receiveSignals(kForwardedSignals, {SIGCHLD});

  for (std::size_t i = 0; i < apps_.size(); ++i)
    makeTerminal(context_, outer_, i);
  // No app begins before all have their process, which is what appPid() promises.
  Pipe gate = apps_.size() > 1 ? makePipe() : Pipe();
  for (std::size_t i = 0; i < apps_.size(); ++i) {
    spawn(i, gate.read.get());
    if (apps_[i].pid != appPid(i)) {
      throw Error("an app's process did not get its number in the pod");
    }
  }
  // The apps' ends of their streams: while one is open here too, no end of it is seen.
  for (AppFiles& files : context_.files)
    files = AppFiles{};
}

// From outside and to the apps, which wait for it. What else is to be done in it comes first.
void Supervisor::bringNetwork() {
  const std::optional<Message> message = outer_.receive();
  if (!message) throw Error("the process outside is gone");
  context_.processors.restore();
  enterNetworkNamespace(message->fd.get());
  bringLoopbackUp();
  setSysctls(plan_.sysctls);
  for (const AppState& app : apps_)
    app.channel->send(MessageKind::network, "", message->fd.get());
  context_.networkComes = false;
}

void Supervisor::spawn(std::size_t index, int gate) {
  auto [ours, theirs] = Channel::makePair();
  const pid_t pid = cloneProcess(CLONE_NEWNS);
  if (pid == 0) {
    const AppFiles& files = context_.files[index];
    // The only other descriptors belong to other apps and to the supervisor; an end of a channel
    // or a pipe kept open here would hide an end. The gate opens when its other side is closed.
    std::vector<int> keep = {theirs.fd()};
    if (plan_.userNamespace >= 0) keep.push_back(plan_.userNamespace);
    if (gate >= 0) keep.push_back(gate);
    for (const UniqueFd& file : files.stdio)
      keep.push_back(file.get());
    for (const ListenSocket& socket : files.listen)
      keep.push_back(socket.fd.get());
    closeAllBut(std::move(keep));
    char byte = 0;
    while (gate >= 0 && ::read(gate, &byte, 1) < 0 && errno == EINTR) {
    }
    runApp(context_, index, theirs);
  }
  AppState state;
  state.pid = pid;
  state.channel = std::move(ours);
  apps_[index] = std::move(state);
}

// From here on nothing of the host's file systems can be reached through this process.
void leaveHostTree(const PodLayout& layout) {
  constexpr unsigned kInert =
      MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  // A directory that the stage1 brings along: to make a file system, and to take it down when the
  // pod ends, takes longer.
  UniqueFd empty = tryCloneMount(AT_FDCWD, (layout.stage1Rootfs() / "empty").c_str());
  if (empty) {
    setMountAttributes(empty.get(), kInert, 0, false);
  } else {
    empty = newMount("tmpfs", {{"mode", "0555"}, {"size", "4k"}}, kInert);
  }
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
  while (!allGone() || (changing() && !stopping_)) {
    std::vector<pollfd> fds = {{signals_.get(), POLLIN, 0}, {outer_.fd(), POLLIN, 0}};
    std::vector<std::size_t> owners;
    for (std::size_t i = 0; i < apps_.size(); ++i) {
      if (!apps_[i].channel) continue;
      fds.push_back({apps_[i].channel->fd(), POLLIN, 0});
      owners.push_back(i);
    }
    if (pollAndRest(fds, pollTimeout()) < 0 && errno != EINTR) {
      throwErrno("waiting for the apps");
    }
    if (fds[1].revents != 0 && !handleOuter()) return 128 + SIGKILL;
    for (std::size_t k = 0; k < owners.size(); ++k) {
      if (fds[k + 2].revents != 0) readChannel(owners[k]);
    }
    if (fds[0].revents != 0) handleSignals();
    killLate();
  }
  return exitCode_;
}

// False when the process outside is gone, and with it the pod.
bool Supervisor::handleOuter() {
  while (std::optional<Message> message = outer_.receive(false)) {
    if (message->kind == MessageKind::stream) {
      const auto which = parseUint(message->payload);
      arrived_.at(which.value()) = std::move(message->fd);
    } else if (message->kind == MessageKind::joinCgroup) {
      arrivedIsolation_.joinFiles.emplace_back(message->payload);
    } else if (message->kind == MessageKind::oomScoreAdj) {
      arrivedIsolation_.oomScoreAdj = std::stoi(message->payload);
    } else if (message->kind == MessageKind::startApp) {
      startAdded(message->payload);
    } else if (message->kind == MessageKind::stopApp) {
      stopOne(message->payload);
    }
  }
  return !outer_.atEnd();
}

std::optional<std::size_t> Supervisor::find(const std::string& name) const {
  for (std::size_t i = 0; i < apps_.size(); ++i) {
    if (planOf(i).name.str() == name) return i;
  }
  return std::nullopt;
}

// The manifest is read again: the app may be another one of the same name.
void Supervisor::startAdded(const std::string& name) {
  StdioFds stdio = std::exchange(arrived_, StdioFds());
  AppIsolation isolation = std::exchange(arrivedIsolation_, AppIsolation());
  try {
    AppPlan app = loadAppPlan(name, plan_.options, context_.layout);
    std::optional<std::size_t> index = find(name);
    if (index && apps_[*index].phase != AppPhase::gone) throw Error("it has not quite ended");
    if (!index) {
      index = apps_.size();
      plan_.apps.push_back(std::move(app));
      apps_.emplace_back();
      context_.isolation.emplace_back();
      context_.files.emplace_back();
      context_.terminals.emplace_back();
    } else {
      plan_.apps[*index] = std::move(app);
    }
    apps_[*index].phase = AppPhase::gone;  // should it fail
    context_.isolation[*index] = std::move(isolation);
    context_.files[*index].stdio = std::move(stdio);
    makeTerminal(context_, outer_, *index);
    spawn(*index, -1);
    context_.files[*index] = AppFiles{};
  } catch (const Error& error) {
    outer_.send(MessageKind::appFailed, name + " " + error.what());
  }
}

void Supervisor::stopOne(const std::string& name) {
  const std::optional<std::size_t> index = find(name);
  if (!index || apps_[*index].phase == AppPhase::gone) return;
  signalApp(apps_[*index], SIGTERM);
  if (!apps_[*index].killAt) {
    apps_[*index].killAt = Clock::now() + std::chrono::seconds(kStopSeconds);
  }
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
  // With nobody else to end it, a pod that changes ends by what a terminal sends, too.
  if (signal == SIGTERM || (changing() && signal == SIGINT)) {
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
    } else if (message && message->kind == MessageKind::notify) {
      outer_.send(MessageKind::notify, message->payload, message->fd.get());
    } else if (message && app.phase == AppPhase::postStop) {
      log::warn("{}", message->payload);  // the app has had its exit status
    } else if (message) {
      app.failedToStart = true;
      if (changing()) {
        outer_.send(MessageKind::appFailed, planOf(index).name.str() + " " + message->payload);
      } else {
        outer_.send(MessageKind::failure, message->payload);
      }
    } else {
      if (!app.channel->atEnd()) return;
      app.channel.reset();
      if (app.phase != AppPhase::starting || app.failedToStart) continue;
      app.phase = AppPhase::running;
      outer_.send(MessageKind::appBegun, planOf(index).name.str() + " " + std::to_string(app.pid));
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
    outer_.send(MessageKind::appExited, planOf(index).name.str() + " " + std::to_string(code));
    if (app.mountNamespace) startPostStop(index);
  }
  if (code == 0 || changing()) return;
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

int run(PodPlan plan, const PodLayout& layout, const Isolation& isolation,
        std::vector<AppFiles>& files, const Processors& processors, const Channel& outer) {
  dieWithOuter();
  // Until it executes, no process of the pod can trace or look into one of ours.
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) throwErrno("hiding the supervisor");
  if (::setsid() < 0) throwErrno("starting a session");
  ::umask(0);
  leaveSessionKeyring();
  setHostName(plan.hostname);
  const bool networkComes = networkComesLate(plan.options);
  if (!networkComes) {
    if (!plan.options.hostNetwork) bringLoopbackUp();
    setSysctls(plan.sysctls);
  }

  makeMountsPrivate();
  // Files that this process and the apps' processes make before they are the apps are the pod's
  // root's.
  std::optional<FileIdentity> identity;
  if (plan.options.users) identity.emplace(*plan.options.users);
  const SharedDevices devices(layout.stage1Rootfs(), !plan.options.hostIpc,
                              plan.options.users ? plan.options.users->first : 0);
  const char* term = ::getenv("TERM");
  PodContext context{
      plan, layout, devices, isolation.apps(), files,     std::vector<Path>(plan.apps.size()),
      {},   {},     {},      networkComes,     processors};
  if (!plan.options.metadataToken.empty()) {
    const MetadataSocket metadata = makeMetadataSocket(plan.options.metadataToken);
    context.metadataUrl = metadata.url;
    outer.send(MessageKind::metadata, metadata.url, metadata.fd.get());
  }
  if (plan.options.interactive) {
    context.term = term != nullptr ? term : "vt100";
    if (::isatty(STDIN_FILENO) == 1) {
      const UniqueFd master = devices.openTerminal(context.terminal);
      outer.send(MessageKind::terminal, "", master.get());
    }
  }

  Supervisor supervisor(plan, context, outer);
  supervisor.startApps();
  // Sysctls are set by files of the host's /proc. Otherwise it is left before anything is waited
  // for.
  const bool leaves = !plan.options.changing;
  const bool leavesLate = networkComes && !plan.sysctls.empty();
  if (leaves && !leavesLate) leaveHostTree(layout);
  if (networkComes) supervisor.bringNetwork();
  if (leaves && leavesLate) leaveHostTree(layout);
  return supervisor.loop();
}

}  // namespace

bool networkComesLate(const RunOptions& options) {
  return !options.hostNetwork && options.networks.empty() && options.metadataToken.empty() &&
         !options.changing && !options.users;
}

void supervise(const PodPlan& plan, const PodLayout& layout, const Isolation& isolation,
               std::vector<AppFiles>& files, const Processors& processors, Channel outer) {
  int code = kFailedCode;
  try {
    // The pod's lock is among what goes: it is held outside.
    std::vector<int> keep = {outer.fd()};
    if (plan.userNamespace >= 0) keep.push_back(plan.userNamespace);
    for (const AppFiles& app : files) {
      for (const UniqueFd& file : app.stdio)
        keep.push_back(file.get());
      for (const ListenSocket& socket : app.listen)
        keep.push_back(socket.fd.get());
    }
    closeAllBut(std::move(keep));
    code = run(plan, layout, isolation, files, processors, outer);
  } catch (const Error& error) {
    outer.send(MessageKind::failure, error.what());
  }
  ::_exit(code);
}

}  // namespace actool::run::native
