#include "run/native/control.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "core/base/error.h"
#include "core/base/unix_socket.h"

namespace actool::run::native {
namespace {

constexpr int kBacklog = 16;

}  // namespace

UniqueFd listenControl(const Path& path) {
  UniqueFd socket = listenUnix(path, SOCK_SEQPACKET | SOCK_NONBLOCK, kBacklog);
  if (::chmod(path.c_str(), 0600) != 0) throwErrno("making the control socket");
  return socket;
}

UniqueFd connectControl(const Path& path) {
  UniqueFd socket = connectUnix(path, SOCK_SEQPACKET);
  if (!socket) {
    throw Error("the pod takes no requests",
                "only a pod of `app sandbox`, or of an app with streams to attach to, does");
  }
  return socket;
}

bool sendPacket(int fd, Packet kind, std::string_view text, bool wait) {
  std::string packet(1, static_cast<char>(kind));
  packet.append(text.substr(0, kMaxPacket));
  ssize_t sent = 0;
  do {
    sent = ::send(fd, packet.data(), packet.size(), MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT));
  } while (sent < 0 && errno == EINTR);
  return sent >= 0;
}

std::optional<Received> receivePacket(int fd) {
  std::array<char, kMaxPacket + 1> buffer{};
  ssize_t count = 0;
  do {
    count = ::recv(fd, buffer.data(), buffer.size(), 0);
  } while (count < 0 && errno == EINTR);
  if (count <= 0) return std::nullopt;
  return Received{static_cast<Packet>(buffer[0]),
                  std::string(buffer.data() + 1, static_cast<std::size_t>(count - 1))};
}

std::string askPod(Packet kind, std::string_view text) {
  const UniqueFd socket = connectControl(kControlSocket);
  if (!sendPacket(socket.get(), kind, text, true)) throw Error("the pod took no request");
  std::optional<Received> answer = receivePacket(socket.get());
  if (!answer) throw Error("the pod ended without an answer");
  if (answer->kind == Packet::error) throw Error(answer->text);
  return std::move(answer->text);
}

}  // namespace actool::run::native
