#include "run/native/listen.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <optional>

#include "core/base/error.h"
#include "core/base/strings.h"

namespace actool::run::native {
namespace {

constexpr int kFirst = STDERR_FILENO + 1;  // SD_LISTEN_FDS_START
constexpr std::uint64_t kMostSockets = 1024;

std::optional<std::uint64_t> numberFrom(const char* variable) {
  const char* text = ::getenv(variable);
  return text == nullptr ? std::nullopt : parseUint(text);
}

std::optional<std::uint16_t> portOf(int fd) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) return std::nullopt;
  if (address.ss_family == AF_INET) {
    return ntohs(reinterpret_cast<const sockaddr_in&>(address).sin_port);
  }
  if (address.ss_family == AF_INET6) {
    return ntohs(reinterpret_cast<const sockaddr_in6&>(address).sin6_port);
  }
  return std::nullopt;
}

template <typename Matches>
std::optional<std::size_t> appWith(const PodPlan& plan, Matches matches) {
  std::optional<std::size_t> found;
  for (std::size_t i = 0; i < plan.apps.size(); ++i) {
    const auto& ports = plan.apps[i].app.ports;
    const bool has = std::any_of(ports.begin(), ports.end(), [&](const schema::Port& port) {
      return port.socketActivated && matches(port);
    });
    if (!has) continue;
    if (found) return std::nullopt;
    found = i;
  }
  return found;
}

std::size_t ownerOf(const ListenSocket& socket, const PodPlan& plan) {
  auto owner =
      appWith(plan, [&](const schema::Port& port) { return port.name.str() == socket.name; });
  if (!owner) {
    if (const auto number = portOf(socket.fd.get())) {
      owner = appWith(plan, [&](const schema::Port& port) {
        const std::uint32_t wanted = *number;
        return wanted >= port.port && wanted < port.port + port.count;
      });
    }
  }
  if (!owner) owner = appWith(plan, [](const schema::Port&) { return true; });
  if (!owner) {
    throw Error("no app has a socket-activated port for the socket \"" + printable(socket.name) +
                    "\" that was passed to the pod",
                "name the socket after the port, with FileDescriptorName= of its unit");
  }
  return *owner;
}

}  // namespace

std::vector<ListenSocket> takeListenSockets() {
  std::vector<ListenSocket> sockets;
  const auto pid = numberFrom("LISTEN_PID");
  const auto count = numberFrom("LISTEN_FDS");
  if (!pid || !count || *pid != static_cast<std::uint64_t>(::getpid()) || *count > kMostSockets) {
    return sockets;
  }
  const char* text = ::getenv("LISTEN_FDNAMES");
  const std::string list = text == nullptr ? "" : text;
  const std::vector<std::string_view> names = split(list, ':');
  for (int i = 0; i < static_cast<int>(*count); ++i) {
    if (::fcntl(kFirst + i, F_SETFD, FD_CLOEXEC) != 0) throwErrno("taking a socket of $LISTEN_FDS");
    const auto index = static_cast<std::size_t>(i);
    sockets.push_back(
        {UniqueFd(kFirst + i), index < names.size() ? std::string(names[index]) : ""});
  }
  for (const char* variable : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"})
    ::unsetenv(variable);
  return sockets;
}

std::vector<std::vector<ListenSocket>> assignListenSockets(std::vector<ListenSocket> sockets,
                                                           const PodPlan& plan) {
  std::vector<std::vector<ListenSocket>> assigned(plan.apps.size());
  for (ListenSocket& socket : sockets)
    assigned[ownerOf(socket, plan)].push_back(std::move(socket));
  return assigned;
}

void placeListenSockets(const std::vector<ListenSocket>& sockets) {
  // Out of the way first: one may have a number that is another's place.
  std::vector<UniqueFd> moved;
  const int end = kFirst + static_cast<int>(sockets.size());
  for (const ListenSocket& socket : sockets) {
    moved.emplace_back(::fcntl(socket.fd.get(), F_DUPFD_CLOEXEC, end));
    if (!moved.back()) throwErrno("moving a socket");
  }
  for (std::size_t i = 0; i < moved.size(); ++i) {
    if (::dup2(moved[i].get(), kFirst + static_cast<int>(i)) < 0) throwErrno("placing a socket");
  }
}

}  // namespace actool::run::native
