#include "run/native/net/own_network.h"

#include <fcntl.h>

#include <algorithm>
#include <optional>
#include <string_view>

#include "core/base/error.h"
#include "core/base/fs.h"
#include "core/base/strings.h"
#include "run/native/net/leases.h"
#include "run/native/net/masquerade.h"
#include "run/native/net/veth.h"

namespace actool::run::native {
namespace {

constexpr const char* kType = "actool-ptp";

struct OwnConfig {
  Subnet subnet;
  bool isDefaultGateway = false;
  bool masquerades = false;
};

OwnConfig parseConfig(const Json& config) {
  return {Subnet::parse(stringMember(config, "subnet")),
          boolMemberOr(config, "isDefaultGateway", false), boolMemberOr(config, "ipMasq", false)};
}

// "IP=10.1.0.7;K=V", as host-local takes them.
std::optional<Ipv4> wantedAddress(const std::string& args) {
  constexpr std::string_view kKey = "IP=";
  for (const std::string_view word : split(args, ';')) {
    if (!word.starts_with(kKey)) continue;
    const std::string text(word.substr(kKey.size()));
    const auto address = Ipv4::parse(text);
    if (!address) throw UsageError("IP=" + printable(text) + " is no IPv4 address");
    return address;
  }
  return std::nullopt;
}

// The same for every call with the same member, and no other's: UUIDs are random numbers.
std::string hostEndOf(const OwnMember& member) {
  constexpr std::size_t kDigits = 8;  // of 15 that a name may have
  const std::size_t number = member.interface.find_first_of("0123456789");
  return "veth" + member.pod.str().substr(0, kDigits) + "-" +
         (number == std::string::npos ? "" : member.interface.substr(number));
}

void forward() {
  const Path setting = "/proc/sys/net/ipv4/ip_forward";
  constexpr std::size_t kMaxSetting = 16;
  if (trim(readFile(setting, kMaxSetting)) == "1") return;
  withContext("having the host forward packets", [&] { writeFilePlain(setting, "1"); });
}

}  // namespace

bool isOwnType(const Json& config) {
  return stringMember(config, "type") == kType;
}

void checkOwnConfig(const Json& config) {
  parseConfig(config);
}

Json joinOwnNetwork(const Json& config, const OwnMember& member, const std::string& netns,
                    const std::string& args) {
  const OwnConfig own = parseConfig(config);
  const auto wanted = wantedAddress(args);
  const UniqueFd space = openFile(netns, O_RDONLY);
  VethPair pair{hostEndOf(member), member.interface, own.subnet, {}, own.isDefaultGateway};
  {
    // Against tidyOwnNetwork(), to which the lease says that NAT is in use.
    Leases leases(Leases::directoryOf(member.network));
    pair.address = leases.take(own.subnet, member.pod, member.interface, wanted);
    if (own.masquerades) addMasquerade(member.network, own.subnet);
  }
  forward();
  makeVethPair(pair, space.get());
  Json routes = Json::array();
  if (own.isDefaultGateway) routes.push_back({{"dst", Subnet{}.str()}});
  return {
      {"cniVersion", stringMember(config, "cniVersion")},
      {"interfaces", {{{"name", pair.hostEnd}}, {{"name", member.interface}, {"sandbox", netns}}}},
      {"ips",
       {{{"version", "4"},
         {"interface", 1},
         {"address", Subnet{pair.address, own.subnet.prefixLength}.str()},
         {"gateway", own.subnet.gateway().str()}}}},
      {"routes", routes},
      {"dns", Json::object()}};
}

void leaveOwnNetwork(const OwnMember& member, bool namespaceIsGone) {
  if (namespaceIsGone) removeVethPair(hostEndOf(member));
  Leases(Leases::directoryOf(member.network)).giveBack(member.pod, member.interface);
}

void tidyOwnNetwork(const Json& config, const std::string& network) {
  const OwnConfig own = parseConfig(config);
  if (!own.masquerades) return;
  const Leases leases(Leases::directoryOf(network));
  if (leases.none(own.subnet)) removeMasquerade(network, own.subnet);
}

}  // namespace actool::run::native
