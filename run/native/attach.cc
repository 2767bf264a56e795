#include "run/native/attach.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <optional>
#include <string_view>
#include <utility>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/strings.h"
#include "run/native/control.h"
#include "run/native/signals.h"
#include "run/native/terminal.h"

namespace actool::run::native {
namespace {

constexpr char kLeave = 0x1d;  // Ctrl-]
constexpr int kLeaveTimes = 3;

bool truth(const std::string& argument, std::string_view value) {
  if (value == "true") return true;
  if (value == "false") return false;
  throw UsageError("\"" + printable(argument) + "\" takes true or false");
}

class Session {
 public:
  Session(int socket, bool typing) : socket_(socket), typing_(typing) {}

  void sendSize() const {
    winsize size{};
    if (::ioctl(STDIN_FILENO, TIOCGWINSZ, &size) != 0) return;
    sendPacket(socket_, Packet::size,
               std::to_string(size.ws_row) + " " + std::to_string(size.ws_col), true);
  }

  // False when nothing more will be typed.
  bool sendInput() {
    std::array<char, 4096> buffer{};
    const ssize_t count = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) return true;
    if (count <= 0) return false;
    const std::string_view bytes(buffer.data(), static_cast<std::size_t>(count));
    const std::string text = typing_ ? withoutLeaving(bytes) : std::string(bytes);
    return text.empty() || sendPacket(socket_, Packet::input, text, true);
  }

  // False at the app's end.
  bool copyOutput() const {
    const std::optional<Received> packet = receivePacket(socket_);
    if (!packet) return false;
    if (packet->kind == Packet::error) throw Error(packet->text);
    if (packet->kind == Packet::output) writeAll(STDOUT_FILENO, packet->text, "standard output");
    if (packet->kind == Packet::errorOutput) {
      writeAll(STDERR_FILENO, packet->text, "standard error");
    }
    return true;
  }

  bool wantsToLeave() const { return leaving_ >= kLeaveTimes; }

 private:
  // What is typed to leave is not for the app; it gets it when something else follows.
  std::string withoutLeaving(std::string_view bytes) {
    std::string text;
    for (const char c : bytes) {
      if (wantsToLeave()) break;
      if (c == kLeave) {
        ++leaving_;
        continue;
      }
      text.append(static_cast<std::size_t>(std::exchange(leaving_, 0)), kLeave).append(1, c);
    }
    return text;
  }

  int socket_;
  bool typing_;
  int leaving_ = 0;
};

bool has(const std::vector<std::string>& list, std::string_view name) {
  for (const std::string& one : list) {
    if (one == name) return true;
  }
  return false;
}

}  // namespace

AttachOptions parseAttachOptions(const std::vector<std::string>& arguments) {
  AttachOptions options;
  for (const std::string& argument : arguments) {
    const std::size_t equals = argument.find('=');
    const std::string name = argument.substr(0, equals);
    const std::string value = equals == std::string::npos ? "true" : argument.substr(equals + 1);
    if (name == "--action") {
      options.list = value == "list";
      if (!options.list && value != "auto-attach" && value != "custom-attach") {
        throw UsageError("\"" + printable(value) + "\" is no action of attach");
      }
    } else if (name == "--app") {
      options.app = value;
    } else if (name == "--debug") {
      log::setDebug(truth(argument, value));
    } else if (name == "--tty-in" || name == "--tty-out" || name == "--stdin" ||
               name == "--stdout" || name == "--stderr") {
      if (truth(argument, value)) options.endpoints.push_back(name.substr(2));
    } else {
      throw UsageError("unknown argument \"" + printable(argument) + "\"");
    }
  }
  if (options.app.empty()) throw UsageError("--app is missing");
  return options;
}

int attachTo(const AttachOptions& options) {
  const std::string list = askPod(Packet::list, options.app);
  if (options.list) {
    writeAll(STDOUT_FILENO, list, "standard output");
    return 0;
  }
  std::vector<std::string> endpoints = options.endpoints;
  if (endpoints.empty()) {
    for (const std::string_view name : split(list, '\n')) {
      if (!name.empty()) endpoints.emplace_back(name);
    }
  }
  if (endpoints.empty()) {
    throw Error("app \"" + options.app + "\" has nothing to attach to",
                "run it with --stdin, --stdout or --stderr of stream or tty");
  }
  const UniqueFd socket = connectControl(kControlSocket);
  if (!sendPacket(socket.get(), Packet::attach, options.app + " " + join(endpoints, " "), true)) {
    throw Error("the pod took no request");
  }
  const bool typing = has(endpoints, "tty-in");
  const bool reading = typing || has(endpoints, "stdin");
  Session session(socket.get(), typing);
  const bool atTerminal = typing && ::isatty(STDIN_FILENO) == 1;
  std::optional<RawMode> raw;
  if (atTerminal) raw.emplace();
  const UniqueFd signals = receiveSignals({}, {SIGWINCH});
  if (atTerminal) session.sendSize();

  std::array<pollfd, 3> fds = {{{socket.get(), POLLIN, 0},
                                {reading ? STDIN_FILENO : -1, POLLIN, 0},
                                {atTerminal ? signals.get() : -1, POLLIN, 0}}};
  while (!session.wantsToLeave()) {
    if (::poll(fds.data(), fds.size(), -1) < 0) {
      if (errno == EINTR) continue;
      throwErrno("waiting for the app");
    }
    if (fds[0].revents != 0 && !session.copyOutput()) break;
    if (fds[1].revents != 0 && !session.sendInput()) fds[1].fd = -1;
    signalfd_siginfo info{};
    while (fds[2].fd >= 0 && ::read(signals.get(), &info, sizeof info) == sizeof info) {
      session.sendSize();
    }
  }
  return 0;
}

}  // namespace actool::run::native
