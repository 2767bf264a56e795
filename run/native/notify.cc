#include "run/native/notify.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/strings.h"

namespace actool::run::native {
namespace {

// systemd's own limit for a message.
constexpr std::size_t kMaxMessage = 4096;

// What the service manager is told; "@" begins a name in the abstract space.
void tellManager(const std::string& text) {
  const char* path = ::getenv(kNotifyVariable);
  if (path == nullptr || (path[0] != '/' && path[0] != '@')) return;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::size_t length = std::strlen(path);
  if (length >= sizeof address.sun_path) return;
  std::memcpy(address.sun_path, path, length);
  if (address.sun_path[0] == '@') address.sun_path[0] = '\0';
  const UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
  if (!socket || ::sendto(socket.get(), text.data(), text.size(), MSG_NOSIGNAL,
                          reinterpret_cast<const sockaddr*>(&address), size) < 0) {
    log::warn("the service manager was not told that the pod is ready: {}", std::strerror(errno));
  }
}

}  // namespace

UniqueFd bindNotifySocket(int dev) {
  UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) throwErrno("making the app's notification socket");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = "/proc/self/fd/" + std::to_string(dev) + "/" + kNotifyName;
  std::memcpy(address.sun_path, path.data(), path.size());
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::fchmodat(dev, kNotifyName, 0666, 0) != 0) {
    throwErrno("making the app's notification socket");
  }
  return socket;
}

void Readiness::allBegun() {
  begun_ = true;
  tellIfReady();
}

void Readiness::addSocket(const std::string& app, UniqueFd socket) {
  sockets_[app] = std::move(socket);
}

void Readiness::addTo(std::vector<pollfd>& fds) const {
  for (const auto& [app, socket] : sockets_)
    fds.push_back({socket.get(), POLLIN, 0});
}

void Readiness::handle(const std::vector<pollfd>& fds) {
  for (const pollfd& one : fds) {
    if (one.revents == 0) continue;
    for (const auto& [app, socket] : sockets_) {
      if (socket.get() == one.fd) receive(app, one.fd);
    }
  }
}

void Readiness::receive(const std::string& app, int socket) {
  std::array<char, kMaxMessage> buffer{};
  const ssize_t count = ::recv(socket, buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (count <= 0) return;
  // One message a turn: an app that says it without end does not keep the others waiting.
  for (const std::string_view line :
       split({buffer.data(), static_cast<std::size_t>(count)}, '\n')) {
    if (line == "READY=1") waiting_.erase(app);
  }
  tellIfReady();
}

void Readiness::tellIfReady() {
  if (told_ || !begun_ || !waiting_.empty()) return;
  told_ = true;
  tellManager("READY=1");
}

}  // namespace actool::run::native
