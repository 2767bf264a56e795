#include "run/native/net/ipv4.h"

#include <arpa/inet.h>

#include <array>

#include "core/base/error.h"
#include "core/base/strings.h"

namespace actool::run::native {

std::optional<Ipv4> Ipv4::parse(const std::string& text) {
  in_addr address{};
  if (::inet_pton(AF_INET, text.c_str(), &address) != 1) return std::nullopt;
  return Ipv4{ntohl(address.s_addr)};
}

std::string Ipv4::str() const {
  const in_addr address{htonl(number)};
  std::array<char, INET_ADDRSTRLEN> text{};
  return ::inet_ntop(AF_INET, &address, text.data(), text.size());
}

Subnet Subnet::parse(const std::string& text) {
  const std::size_t slash = text.find('/');
  const auto base = Ipv4::parse(text.substr(0, slash));
  const auto length = slash == std::string::npos
                          ? std::nullopt
                          : parseUint(std::string_view(text).substr(slash + 1));
  if (!base || !length || *length < 1 || *length > 30) {
    throw UsageError("\"" + printable(text) + "\" is no subnet such as 172.16.28.0/24");
  }
  const Subnet subnet{*base, static_cast<unsigned>(*length)};
  if ((base->number & ~subnet.mask().number) != 0) {
    throw UsageError("\"" + printable(text) + "\" has more bits than its length says");
  }
  return subnet;
}

std::string Subnet::str() const {
  return base.str() + "/" + std::to_string(prefixLength);
}

}  // namespace actool::run::native
