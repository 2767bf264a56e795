// IPv4 addresses and subnets as numbers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace actool::run::native {

struct Ipv4 {
  std::uint32_t number = 0;  // 10.0.0.1 is 0x0a000001

  static std::optional<Ipv4> parse(const std::string& text);
  std::string str() const;
  auto operator<=>(const Ipv4&) const = default;
};

// "172.16.28.0/24". The first address after the subnet's own is the gateway's, the last one is the
// broadcast address, and those between are for pods.
struct Subnet {
  Ipv4 base;
  unsigned prefixLength = 0;

  // A subnet with room for pods: of a length from 1 to 30. Throws UsageError.
  static Subnet parse(const std::string& text);
  std::string str() const;
  // A length of 0 would shift by as many bits as there are.
  Ipv4 mask() const { return {prefixLength == 0 ? 0 : ~std::uint32_t{0} << (32 - prefixLength)}; }
  bool contains(Ipv4 address) const { return (address.number & mask().number) == base.number; }
  Ipv4 gateway() const { return {base.number + 1}; }
  Ipv4 first() const { return {base.number + 2}; }
  Ipv4 last() const { return {(base.number | ~mask().number) - 1}; }
};

}  // namespace actool::run::native
