#include "run/native/pod.h"

#include <poll.h>
#include <sched.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "core/base/error.h"
#include "core/base/process.h"
#include "core/base/strings.h"
#include "core/schema/image_manifest.h"
#include "run/native/channel.h"
#include "run/native/idle.h"
#include "run/native/isolation.h"
#include "run/native/listen.h"
#include "run/native/metadata.h"
#include "run/native/namespaces.h"
#include "run/native/network.h"
#include "run/native/notify.h"
#include "run/native/prefetch.h"
#include "run/native/requests.h"
#include "run/native/signals.h"
#include "run/native/streams.h"
#include "run/native/supervisor.h"
#include "run/native/terminal.h"

namespace actool::run::native {
namespace {

class Outer {
 public:
  Outer(const PodPlan& plan, const PodLayout& layout) : plan_(plan), layout_(layout) {}
  int run();

 private:
  int runPrepared(Isolation& isolation);
  void openFiles();
  void openRequests(Isolation& isolation);
  void startApp(const std::string& name, Isolation& isolation);
  void markReady();
  void forgetApp(const std::string& name) const;
  void appBegun(const std::string& name, const std::string& pid);
  bool podNeedsStreams() const;
  void blockSignals();
  void writePid() const;
  void passSignalsOn();
  void take(Message message);
  void takeMessages();
  int exitCode() const;

  const PodPlan& plan_;
  const PodLayout& layout_;
  UniqueFd signals_;
  UniqueFd pidfd_;
  pid_t pid_ = -1;
  std::optional<Channel> channel_;
  std::unique_ptr<Terminal> terminal_;
  std::vector<AppFiles> files_;  // the apps' ends, until the supervisor has them
  std::optional<Streams> streams_;
  std::optional<Requests> requests_;
  std::optional<Readiness> readiness_;
  std::optional<MetadataService> metadata_;
  std::size_t toBegin_ = 0;             // apps of the plan that have not begun
  std::optional<std::string> failure_;  // the first; what follows from it is no news
};

// Whether the app's image says that the app tells when it is ready.
bool saysReadiness(const PodLayout& layout, const schema::AcName& app) {
  const auto text = tryReadFile(layout.appManifest(app), schema::kMaxManifestBytes);
  if (!text) return false;
  const auto manifest = schema::ImageManifest::parse(*text, "manifest of " + app.str());
  return manifest.annotations.get(kNotifyAnnotation) == "true";
}

std::uint64_t namespaces(const RunOptions& options) {
  std::uint64_t flags = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS;
  if (!options.hostIpc) flags |= CLONE_NEWIPC;
  // With networks to join this process is in the pod's network namespace already.
  if (!options.hostNetwork && options.networks.empty() && !networkComesLate(options)) {
    flags |= CLONE_NEWNET;
  }
  return flags;
}

int Outer::run() {
  if (::mkdir(layout_.statusDir().parent_path().c_str(), 0755) != 0 && errno != EEXIST) {
    throwErrno("making directory " + layout_.statusDir().parent_path().string());
  }
  if (::mkdir(layout_.statusDir().c_str(), 0755) != 0 && errno != EEXIST) {
    throwErrno("making directory " + layout_.statusDir().string());
  }
  Isolation isolation(plan_, layout_);
  std::optional<PodNetwork> network;
  const auto undo = [&] {
    isolation.remove();
    if (network) network->leave();
  };
  try {
    network.emplace(plan_.options, layout_);
    const int code = runPrepared(isolation);
    undo();
    return code;
  } catch (const Error&) {
    undo();
    throw;
  }
}

int Outer::runPrepared(Isolation& isolation) {
  openFiles();
  blockSignals();
  auto [ours, theirs] = Channel::makePair();
  const Processors processors;
  pid_ = cloneProcess(namespaces(plan_.options), &pidfd_);
  if (pid_ == 0) supervise(plan_, layout_, isolation, files_, processors, std::move(theirs));
  theirs.close();
  files_.clear();
  channel_ = std::move(ours);
  if (networkComesLate(plan_.options)) {
    processors.beginElsewhere(pid_);
    const UniqueFd network = makeNetworkNamespace();
    writePid();  // no app begins before that: who hears of one finds the pod
    channel_->send(MessageKind::network, "", network.get());
  } else {
    writePid();
  }
  openRequests(isolation);
  // Here, where there is nothing to do before the apps begin, and not in the supervisor, which the
  // kernel has on the apps' processor.
  for (const AppPlan& app : plan_.apps)
    prefetchProgram(app.rootfs, app.app.exec.front());

  while (true) {
    std::vector<pollfd> fds = {
        {signals_.get(), POLLIN, 0}, {pidfd_.get(), POLLIN, 0}, {channel_->fd(), POLLIN, 0}};
    if (channel_->atEnd()) fds[2].fd = -1;
    if (terminal_) terminal_->addTo(fds);
    if (streams_) streams_->addTo(fds);
    if (requests_) requests_->addTo(fds);
    if (readiness_) readiness_->addTo(fds);
    if (pollAndRest(fds, -1) < 0 && errno != EINTR) throwErrno("waiting for the pod");
    if (fds[2].revents != 0) takeMessages();
    if (fds[0].revents != 0) passSignalsOn();
    if (terminal_) terminal_->handle(fds);
    if (requests_) requests_->handle(fds);
    if (streams_) streams_->handle(fds);
    if (readiness_) readiness_->handle(fds);
    if (fds[1].revents != 0) break;
  }
  takeMessages();
  if (streams_) streams_->drain();
  if (terminal_) terminal_->drain();
  terminal_.reset();
  const int code = exitCode();
  if (failure_) throw Error(*failure_);
  return code;
}

bool Outer::podNeedsStreams() const {
  if (plan_.options.changing) return true;
  return std::any_of(plan_.apps.begin(), plan_.apps.end(), [](const AppPlan& app) {
    return std::any_of(app.stdio.begin(), app.stdio.end(), [](StdioMode mode) {
      return mode != StdioMode::inherit && mode != StdioMode::null;
    });
  });
}

// What the apps get from outside.
void Outer::openFiles() {
  files_.resize(plan_.apps.size());
  toBegin_ = plan_.apps.size();
  auto sockets = assignListenSockets(takeListenSockets(), plan_);
  if (podNeedsStreams()) streams_.emplace("rkt-" + plan_.options.uuid.str());
  std::set<std::string> saying;
  const bool asked = ::getenv(kNotifyVariable) != nullptr;
  for (std::size_t i = 0; i < files_.size(); ++i) {
    const AppPlan& app = plan_.apps[i];
    files_[i].listen = std::move(sockets[i]);
    if (streams_) files_[i].stdio = streams_->open(app.name.str(), app.stdio);
    files_[i].notify = asked && saysReadiness(layout_, app.name);
    if (files_[i].notify) saying.insert(app.name.str());
  }
  if (asked) readiness_.emplace(std::move(saying));
}

void Outer::openRequests(Isolation& isolation) {
  if (!streams_) return;
  Requests::Actions actions;
  if (plan_.options.changing) {
    actions.start = [this, &isolation](const std::string& name) { startApp(name, isolation); };
    actions.stop = [this](const std::string& name) { channel_->send(MessageKind::stopApp, name); };
    actions.forget = [this, &isolation](const std::string& name) {
      isolation.forget(name);
      forgetApp(name);
    };
    if (::mkdir(layout_.pidsDir().c_str(), 0755) != 0 && errno != EEXIST) {
      throwErrno("making directory " + layout_.pidsDir().string());
    }
  }
  const bool attachable = plan_.options.changing || streams_->anyAttachable();
  if (attachable) requests_.emplace(*streams_, std::move(actions));
  if (toBegin_ == 0) markReady();
}

void Outer::markReady() {
  if (::symlink("ready", layout_.readyMark().c_str()) != 0 && errno != EEXIST) {
    throwErrno("writing " + layout_.readyMark().string());
  }
  if (readiness_) readiness_->allBegun();
}

void Outer::startApp(const std::string& name, Isolation& isolation) {
  const AppPlan app = loadAppPlan(name, plan_.options, layout_);
  removeTree(layout_.statusFile(app.name));
  if (metadata_) metadata_->restart();
  StdioFds ends = streams_->open(name, app.stdio);
  for (std::size_t i = 0; i < ends.size(); ++i) {
    if (ends[i]) channel_->send(MessageKind::stream, std::to_string(i), ends[i].get());
  }
  const AppIsolation own = isolation.add(plan_, app);
  for (const Path& file : own.joinFiles)
    channel_->send(MessageKind::joinCgroup, file.string());
  if (own.oomScoreAdj) {
    channel_->send(MessageKind::oomScoreAdj, std::to_string(*own.oomScoreAdj));
  }
  channel_->send(MessageKind::startApp, name);
}

void Outer::forgetApp(const std::string& name) const {
  const schema::AcName app = schema::AcName::parse(name);
  removeTree(layout_.statusFile(app));
  removeTree(layout_.appPid(app));
  removeTree(layout_.appLog(app));
  removeTree(layout_.appLog(app).string() + ".1");
  removeTree(layout_.appJournal(app));
}

void Outer::appBegun(const std::string& name, const std::string& pid) {
  if (plan_.options.changing) {
    writeFilePlain(layout_.appPid(schema::AcName::parse(name)), pid + "\n");
  }
  if (requests_) requests_->begun(name);
  if (toBegin_ > 0 && --toBegin_ == 0) markReady();
}

void Outer::blockSignals() {
  signals_ = receiveSignals(kForwardedSignals);
}

// Others poll for this file: it appears whole, and need not outlast a crash.
void Outer::writePid() const {
  const Path fresh = layout_.dir() / "pid.new";
  writeFilePlain(fresh, std::to_string(pid_) + "\n");
  if (::rename(fresh.c_str(), layout_.pid().c_str()) != 0) {
    throwErrno("writing " + layout_.pid().string());
  }
}

void Outer::passSignalsOn() {
  signalfd_siginfo info{};
  while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
    const int signal = static_cast<int>(info.ssi_signo);
    if (terminal_ && signal == SIGWINCH) {
      terminal_->copySize();  // the kernel tells the processes at the pod's terminal
      continue;
    }
    signalProcess(pidfd_.get(), signal);
  }
}

void Outer::takeMessages() {
  while (!channel_->atEnd()) {
    std::optional<Message> message = channel_->receive(false);
    if (!message) return;
    take(std::move(*message));
  }
}

void Outer::take(Message message) {
  const std::size_t space = std::min(message.payload.find(' '), message.payload.size());
  const std::string first = message.payload.substr(0, space);
  const std::string rest = message.payload.substr(std::min(space + 1, message.payload.size()));
  switch (message.kind) {
    case MessageKind::failure:
      if (!failure_) failure_ = std::move(message.payload);
      return;
    case MessageKind::terminal:
      if (message.payload.empty()) {
        terminal_ = std::make_unique<Terminal>(std::move(message.fd));
      } else {
        streams_->setTerminal(message.payload, std::move(message.fd));
      }
      return;
    case MessageKind::appBegun:
      appBegun(first, rest);
      return;
    case MessageKind::appFailed:
      requests_->failed(first, rest);
      return;
    case MessageKind::appExited:
      if (streams_) streams_->appEnded(first);
      writeFilePlain(layout_.statusFile(schema::AcName::parse(first)), rest);
      if (requests_) requests_->ended(first);
      return;
    case MessageKind::metadata:
      writeFilePlain(layout_.metadataUrl(), message.payload + "\n", 0600);
      metadata_.emplace(std::move(message.fd), plan_.options.metadataToken, plan_.options.uuid);
      return;
    case MessageKind::notify:
      readiness_->addSocket(message.payload, std::move(message.fd));
      return;
    case MessageKind::mountNamespace:
    case MessageKind::stream:
    case MessageKind::joinCgroup:
    case MessageKind::oomScoreAdj:
    case MessageKind::startApp:
    case MessageKind::stopApp:
    case MessageKind::ready:
    case MessageKind::network:
      return;  // these go other ways
  }
}

int Outer::exitCode() const {
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0) {
    if (errno != EINTR) throwErrno("waiting for the pod");
  }
  const ExitStatus ended{WIFSIGNALED(status),
                         WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status)};
  return ended.shellCode();
}

}  // namespace

int runPod(const PodPlan& plan, const PodLayout& layout) {
  return Outer(plan, layout).run();
}

}  // namespace actool::run::native
