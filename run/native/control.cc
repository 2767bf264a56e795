#include "run/native/control.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "core/base/error.h"

namespace actool::run::native {
namespace {

constexpr int kBacklog = 16;

sockaddr_un addressOf(const Path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string& text = path.native();
  if (text.size() >= sizeof address.sun_path) throw Error("the socket's path is too long: " + text);
  std::memcpy(address.sun_path, text.data(), text.size());
  return address;
}

}  // namespace

UniqueFd listenControl(const Path& path) {
  UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) throwErrno("making the control socket");
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) throwErrno("replacing the control socket");
  const sockaddr_un address = addressOf(path);
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::chmod(path.c_str(), 0600) != 0 || ::listen(socket.get(), kBacklog) != 0) {
    throwErrno("making the control socket");
  }
  return socket;
}

UniqueFd connectControl(const Path& path) {
  UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!socket) throwErrno("making a socket");
  const sockaddr_un address = addressOf(path);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    if (errno == ENOENT || errno == ECONNREFUSED) {
      throw Error("the pod takes no requests",
                  "only a pod of `app sandbox`, or of an app with streams to attach to, does");
    }
    throwErrno("asking the pod");
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
