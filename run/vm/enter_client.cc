#include "run/vm/enter_client.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <optional>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "run/executor/pod_entry.h"
#include "run/native/control.h"
#include "run/native/options.h"
#include "run/native/signals.h"
#include "run/native/terminal.h"
#include "run/vm/guest_config.h"

namespace actool::run::vm {
namespace {

using native::Packet;

void sendSize(int socket) {
  winsize size{};
  if (::ioctl(STDIN_FILENO, TIOCGWINSZ, &size) != 0) return;
  native::sendPacket(socket, Packet::size,
                     std::to_string(size.ws_row) + " " + std::to_string(size.ws_col), true);
}

// False at the end of it.
bool sendInput(int socket) {
  std::array<char, 4096> piece{};
  const ssize_t count = ::read(STDIN_FILENO, piece.data(), piece.size());
  if (count < 0 && errno == EINTR) return true;
  const std::size_t size = count > 0 ? static_cast<std::size_t>(count) : 0;
  native::sendPacket(socket, Packet::input, std::string_view(piece.data(), size), true);
  return size > 0;
}

[[noreturn]] void failed(const std::string& codeAndText) {
  const std::size_t space = codeAndText.find(' ');
  const std::string text = codeAndText.substr(space == std::string::npos ? 0 : space + 1);
  if (codeAndText.starts_with("252 ")) throw NotFoundError(text);
  throw Error(text);
}

int converse(int socket, bool terminal) {
  std::optional<native::RawMode> raw;
  if (terminal) raw.emplace();
  const UniqueFd signals = native::receiveSignals({}, {SIGWINCH});
  if (terminal) sendSize(socket);
  std::array<pollfd, 3> fds = {
      {{socket, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}, {terminal ? signals.get() : -1, POLLIN, 0}}};
  while (true) {
    if (::poll(fds.data(), fds.size(), -1) < 0) {
      if (errno == EINTR) continue;
      throwErrno("waiting for the command");
    }
    if (fds[0].revents != 0) {
      const auto packet = native::receivePacket(socket);
      if (!packet) throw Error("the pod ended");
      if (packet->kind == Packet::error) failed(packet->text);
      if (packet->kind == Packet::done) {
        return static_cast<int>(parseUint(packet->text).value_or(254));
      }
      const int to = packet->kind == Packet::errorOutput ? STDERR_FILENO : STDOUT_FILENO;
      writeAll(to, packet->text, "the command's output");
    }
    if (fds[1].revents != 0 && !sendInput(socket)) fds[1].fd = -1;
    signalfd_siginfo info{};
    while (fds[2].fd >= 0 && ::read(signals.get(), &info, sizeof info) == sizeof info) {
      sendSize(socket);
    }
  }
}

}  // namespace

int enterEntry(const std::vector<std::string>& arguments) {
  const native::EnterOptions options = native::parseEnterOptions(arguments);
  executor::runningApp(options, PodLayout("."));
  EnterRequest request;
  request.app = options.app;
  request.command = options.command;
  request.terminal = ::isatty(STDIN_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 1;
  const char* term = ::getenv("TERM");
  if (term != nullptr) request.term = term;
  const std::string text = formatEnterRequest(request);
  if (text.size() >= native::kMaxPacket) throw UsageError("the command is too long");
  const UniqueFd socket = native::connectControl(kEnterSocket);
  if (!native::sendPacket(socket.get(), Packet::attach, text, true)) {
    throw Error("the pod took no request");
  }
  return converse(socket.get(), request.terminal);
}

}  // namespace actool::run::vm
