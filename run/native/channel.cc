#include "run/native/channel.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "core/base/error.h"
#include "core/base/fd_message.h"

namespace actool::run::native {
namespace {

constexpr std::size_t kMaxPayload = 8192;

}  // namespace

std::pair<Channel, Channel> Channel::makePair() {
  std::array<int, 2> fds{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds.data()) != 0) {
    throwErrno("making a socket pair");
  }
  return {Channel(UniqueFd(fds[0])), Channel(UniqueFd(fds[1]))};
}

bool Channel::send(MessageKind kind, std::string_view payload, int fd) const {
  std::string text(1, static_cast<char>(kind));
  text.append(payload.substr(0, kMaxPayload));
  return sendMessage(fd_.get(), text, fd, "a message");
}

std::optional<Message> Channel::receive(bool wait) const {
  // Not cleared: messages are short.
  std::array<char, kMaxPayload + 1> buffer;
  auto received = receiveMessage(fd_.get(), buffer, "a message", wait);
  if (!received) return std::nullopt;
  if (received->size == 0) {
    atEnd_ = true;
    return std::nullopt;
  }
  Message message;
  message.kind = static_cast<MessageKind>(buffer[0]);
  message.payload.assign(buffer.data() + 1, received->size - 1);
  message.fd = std::move(received->fd);
  return message;
}

void Channel::moveTo(int number) {
  if (fd_.get() == number) return;
  const int moved = ::dup3(fd_.get(), number, O_CLOEXEC);
  if (moved < 0) throwErrno("moving a descriptor");
  fd_.reset(moved);
}

}  // namespace actool::run::native
