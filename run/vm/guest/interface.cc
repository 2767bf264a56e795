#include "run/vm/guest/interface.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <net/route.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstring>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "run/native/namespaces.h"

namespace actool::run::vm {
namespace {

constexpr const char* kInterface = "eth0";

void putAddress(sockaddr& into, const char* text) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  ::inet_pton(AF_INET, text, &address.sin_addr);
  std::memcpy(&into, &address, sizeof into);
}

void setAddress(int socket, unsigned long what, const char* text) {
  ifreq request{};
  std::strncpy(request.ifr_name, kInterface, sizeof request.ifr_name - 1);
  putAddress(request.ifr_addr, text);
  if (::ioctl(socket, what, &request) != 0) throwErrno("setting the interface's address");
}

}  // namespace

void setUpInterface() {
  native::bringLoopbackUp();
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) throwErrno("opening a socket for the interface");
  setAddress(socket.get(), SIOCSIFADDR, "10.0.2.15");
  setAddress(socket.get(), SIOCSIFNETMASK, "255.255.255.0");
  ifreq request{};
  std::strncpy(request.ifr_name, kInterface, sizeof request.ifr_name - 1);
  request.ifr_flags = IFF_UP;
  if (::ioctl(socket.get(), SIOCSIFFLAGS, &request) != 0) throwErrno("bringing the interface up");
  rtentry route{};
  putAddress(route.rt_dst, "0.0.0.0");
  putAddress(route.rt_genmask, "0.0.0.0");
  putAddress(route.rt_gateway, "10.0.2.2");
  route.rt_flags = RTF_UP | RTF_GATEWAY;
  if (::ioctl(socket.get(), SIOCADDRT, &route) != 0) throwErrno("setting the route");
}

}  // namespace actool::run::vm
