#include "run/native/channel.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "core/base/error.h"

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
  iovec part{text.data(), text.size()};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  if (fd >= 0) {
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    cmsghdr* attached = CMSG_FIRSTHDR(&header);
    attached->cmsg_level = SOL_SOCKET;
    attached->cmsg_type = SCM_RIGHTS;
    attached->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(attached), &fd, sizeof fd);
  }
  ssize_t count = 0;
  do {
    count = ::sendmsg(fd_.get(), &header, MSG_NOSIGNAL);
  } while (count < 0 && errno == EINTR);
  if (count < 0 && errno != EPIPE && errno != ECONNRESET) throwErrno("sending a message");
  return count >= 0;
}

std::optional<Message> Channel::receive(bool wait) const {
  // Not cleared: messages are short.
  std::array<char, kMaxPayload + 1> buffer;
  iovec part{buffer.data(), buffer.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  ssize_t count = 0;
  do {
    count = ::recvmsg(fd_.get(), &header, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT));
  } while (count < 0 && errno == EINTR);
  if (count < 0 && errno == EAGAIN) return std::nullopt;
  if (count < 0 && errno != ECONNRESET) throwErrno("receiving a message");
  if (count <= 0) {
    atEnd_ = true;
    return std::nullopt;
  }
  Message message;
  message.kind = static_cast<MessageKind>(buffer[0]);
  message.payload.assign(buffer.data() + 1, static_cast<std::size_t>(count - 1));
  const cmsghdr* attached = CMSG_FIRSTHDR(&header);
  if (attached != nullptr && attached->cmsg_type == SCM_RIGHTS) {
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(attached), sizeof fd);
    message.fd.reset(fd);
  }
  return message;
}

void Channel::moveTo(int number) {
  if (fd_.get() == number) return;
  const int moved = ::dup3(fd_.get(), number, O_CLOEXEC);
  if (moved < 0) throwErrno("moving a descriptor");
  fd_.reset(moved);
}

}  // namespace actool::run::native
