#include "core/base/fd_message.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "core/base/error.h"

namespace actool {
namespace {

// A message of one part, and room for one descriptor.
struct OneMessage {
  OneMessage(char* bytes, std::size_t size) : part{bytes, size} {
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control.data();
    header.msg_controllen = control.size();
  }
  OneMessage(const OneMessage&) = delete;
  OneMessage& operator=(const OneMessage&) = delete;

  iovec part;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr header{};
};

// Alignment leaves room for a second one, and whoever sends decides how many come.
UniqueFd onlyDescriptor(msghdr& header) {
  const cmsghdr* attached = CMSG_FIRSTHDR(&header);
  if (attached == nullptr || attached->cmsg_level != SOL_SOCKET ||
      attached->cmsg_type != SCM_RIGHTS) {
    return {};
  }
  const std::size_t count = (attached->cmsg_len - CMSG_LEN(0)) / sizeof(int);
  UniqueFd only;
  for (std::size_t i = 0; i < count; ++i) {
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(attached) + i * sizeof fd, sizeof fd);
    only.reset(fd);
  }
  if (count != 1) only.reset();
  return only;
}

}  // namespace

bool sendMessage(int socket, std::string_view bytes, int fd, std::string_view what) {
  OneMessage message(const_cast<char*>(bytes.data()), bytes.size());  // sendmsg(2) only reads it
  if (fd >= 0) {
    cmsghdr* attached = CMSG_FIRSTHDR(&message.header);
    attached->cmsg_level = SOL_SOCKET;
    attached->cmsg_type = SCM_RIGHTS;
    attached->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(attached), &fd, sizeof fd);
  } else {
    message.header.msg_controllen = 0;
  }
  ssize_t count = 0;
  do {
    count = ::sendmsg(socket, &message.header, MSG_NOSIGNAL);
  } while (count < 0 && errno == EINTR);
  if (count < 0 && errno != EPIPE && errno != ECONNRESET) {
    throwErrno("sending " + std::string(what));
  }
  return count >= 0;
}

std::optional<ReceivedMessage> receiveMessage(int socket, std::span<char> buffer,
                                              std::string_view what, bool wait) {
  OneMessage message(buffer.data(), buffer.size());
  ssize_t count = 0;
  bool left = false;
  do {
    count = ::recvmsg(socket, &message.header, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT));
    // The other side has gone without taking all that it was sent. That is said once, and before
    // what it has sent itself.
  } while (count < 0 && (errno == EINTR || (errno == ECONNRESET && !std::exchange(left, true))));
  if (count < 0 && errno == EAGAIN) return std::nullopt;
  if (count < 0 && errno != ECONNRESET) throwErrno("receiving " + std::string(what));
  if (count <= 0) return ReceivedMessage{};
  return ReceivedMessage{static_cast<std::size_t>(count), onlyDescriptor(message.header)};
}

}  // namespace actool
