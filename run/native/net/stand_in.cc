#include "run/native/net/stand_in.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>

#include <linux/ipv6.h>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/strings.h"

namespace actool::run::native {
namespace {

struct Address {
  std::string text;  // without the length
  unsigned prefixLength = 0;
};

std::optional<Address> parseAddress(const std::string& text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string::npos) return std::nullopt;
  const auto length = parseUint(std::string_view(text).substr(slash + 1));
  if (!length || *length > 128) return std::nullopt;
  return Address{text.substr(0, slash), static_cast<unsigned>(*length)};
}

ifreq requestFor(const std::string& interface) {
  ifreq request{};
  std::strncpy(request.ifr_name, interface.c_str(), sizeof request.ifr_name - 1);
  return request;
}

void control(int socket, unsigned long operation, void* request, const std::string& attempt) {
  if (::ioctl(socket, operation, request) != 0) throwErrno(attempt);
}

void setAddress4(const std::string& interface, const Address& address) {
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) throwErrno("opening a socket");
  sockaddr_in place{};
  place.sin_family = AF_INET;
  if (::inet_pton(AF_INET, address.text.c_str(), &place.sin_addr) != 1) return;
  ifreq request = requestFor(interface);
  std::memcpy(&request.ifr_addr, &place, sizeof place);
  control(socket.get(), SIOCSIFADDR, &request, "setting the address of " + interface);
  const std::uint32_t mask =
      address.prefixLength == 0 ? 0 : ~std::uint32_t{0} << (32 - address.prefixLength);
  place.sin_addr.s_addr = htonl(mask);
  request = requestFor(interface);
  std::memcpy(&request.ifr_netmask, &place, sizeof place);
  control(socket.get(), SIOCSIFNETMASK, &request, "setting the netmask of " + interface);
}

void setAddress6(const std::string& interface, const Address& address) {
  const UniqueFd socket(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) throwErrno("opening a socket");
  ifreq index = requestFor(interface);
  control(socket.get(), SIOCGIFINDEX, &index, "looking for " + interface);
  in6_ifreq request{};
  if (::inet_pton(AF_INET6, address.text.c_str(), &request.ifr6_addr) != 1) return;
  request.ifr6_prefixlen = address.prefixLength;
  request.ifr6_ifindex = index.ifr_ifindex;
  control(socket.get(), SIOCSIFADDR, &request, "setting the address of " + interface);
}

// A bridge without ports: of all devices the one that a single call makes.
void makeInterface(const JoinedNetwork& joined) {
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) throwErrno("opening a socket");
  std::string name = joined.interface;
  control(socket.get(), SIOCBRADDBR, name.data(), "making " + name);
  for (const std::string& text : joined.addresses()) {
    const std::optional<Address> address = parseAddress(text);
    if (!address) continue;
    if (address->text.find(':') == std::string::npos) {
      setAddress4(joined.interface, *address);
    } else {
      setAddress6(joined.interface, *address);
    }
  }
}

}  // namespace

UniqueFd makeStandIn(const std::vector<JoinedNetwork>& networks) {
  constexpr const char* kOwn = "/proc/self/ns/net";
  const UniqueFd before = openFile(kOwn, O_RDONLY);
  if (::unshare(CLONE_NEWNET) != 0) throwErrno("making a network namespace");
  UniqueFd made = openFile(kOwn, O_RDONLY);
  for (const JoinedNetwork& joined : networks) {
    try {
      // Those without a result have no addresses to be found.
      if (joined.result.is_object()) makeInterface(joined);
    } catch (const Error& error) {
      log::debug("{}", error.what());
    }
  }
  if (::setns(before.get(), CLONE_NEWNET) != 0) throwErrno("returning to the host's network");
  return made;
}

}  // namespace actool::run::native
