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
#include <memory>
#include <optional>
#include <vector>

#include "core/base/error.h"
#include "core/base/process.h"
#include "core/base/strings.h"
#include "run/native/channel.h"
#include "run/native/namespaces.h"
#include "run/native/supervisor.h"
#include "run/native/terminal.h"

namespace actool::run::native {
namespace {

class Outer {
 public:
  Outer(const PodPlan& plan, const PodLayout& layout) : plan_(plan), layout_(layout) {}
  int run();

 private:
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
  std::optional<std::string> failure_;  // the first; what follows from it is no news
};

std::uint64_t namespaces(const RunOptions& options) {
  std::uint64_t flags = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS;
  if (!options.hostIpc) flags |= CLONE_NEWIPC;
  if (!options.hostNetwork) flags |= CLONE_NEWNET;
  return flags;
}

int Outer::run() {
  if (::mkdir(layout_.statusDir().parent_path().c_str(), 0755) != 0 && errno != EEXIST) {
    throwErrno("making directory " + layout_.statusDir().parent_path().string());
  }
  if (::mkdir(layout_.statusDir().c_str(), 0755) != 0 && errno != EEXIST) {
    throwErrno("making directory " + layout_.statusDir().string());
  }
  blockSignals();
  auto [ours, theirs] = Channel::makePair();
  pid_ = cloneProcess(namespaces(plan_.options), &pidfd_);
  if (pid_ == 0) supervise(plan_, layout_, std::move(theirs));
  theirs.close();
  channel_ = std::move(ours);
  writePid();

  while (true) {
    std::vector<pollfd> fds = {
        {signals_.get(), POLLIN, 0}, {pidfd_.get(), POLLIN, 0}, {channel_->fd(), POLLIN, 0}};
    if (channel_->atEnd()) fds[2].fd = -1;
    if (terminal_) terminal_->addTo(fds);
    if (::poll(fds.data(), fds.size(), -1) < 0 && errno != EINTR) throwErrno("waiting for the pod");
    if (fds[2].revents != 0) takeMessages();
    if (fds[0].revents != 0) passSignalsOn();
    if (terminal_) terminal_->handle(fds);
    if (fds[1].revents != 0) break;
  }
  takeMessages();
  if (terminal_) terminal_->drain();
  terminal_.reset();
  const int code = exitCode();
  if (failure_) throw Error(*failure_);
  return code;
}

void Outer::blockSignals() {
  sigset_t mask;
  ::sigemptyset(&mask);
  for (const int signal : kForwardedSignals)
    ::sigaddset(&mask, signal);
  if (::sigprocmask(SIG_BLOCK, &mask, nullptr) != 0) throwErrno("blocking signals");
  signals_.reset(::signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_) throwErrno("receiving signals");
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
  switch (message.kind) {
    case MessageKind::failure:
      if (!failure_) failure_ = std::move(message.payload);
      return;
    case MessageKind::terminal:
      terminal_ = std::make_unique<Terminal>(std::move(message.fd));
      return;
    case MessageKind::appExited: {
      const std::vector<std::string_view> parts = split(message.payload, ' ');
      const auto index = parseUint(parts.at(0));
      const AppPlan& app = plan_.apps.at(index.value());
      writeFilePlain(layout_.statusFile(app.name), parts.at(1));
      return;
    }
    case MessageKind::mountNamespace:
      return;  // stays between the supervisor and its apps
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
