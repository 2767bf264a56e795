#include "run/networks.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/base/error.h"
#include "core/base/fs.h"
#include "core/base/strings.h"

namespace actool::run {
namespace {

// A few networks, each with its configuration and what its plugins said.
constexpr std::size_t kMaxNetInfo = 4 << 20;

bool isNetworkName(std::string_view name) {
  return !name.empty() && name.size() <= 64 && name[0] != '.' && name[0] != '-' &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '.' || c == '_' || c == '-';
         });
}

void requireArgs(std::string_view name, std::string_view args) {
  for (const std::string_view pair : split(args, ';')) {
    const std::size_t equals = pair.find('=');
    if (equals != std::string_view::npos && equals != 0) continue;
    throw UsageError(
        fmt::format("--net: '{}' of network {} is not KEY=VALUE", printable(pair), name),
        "write --net=NAME:KEY=VALUE;KEY=VALUE");
  }
}

}  // namespace

std::vector<NetworkRequest> parseNetworks(std::string_view list) {
  std::vector<NetworkRequest> requests;
  std::set<std::string, std::less<>> names;
  for (const std::string_view word : split(list, ',')) {
    const std::size_t colon = word.find(':');
    NetworkRequest request{std::string(word.substr(0, colon)), {}};
    if (colon != std::string_view::npos) {
      request.args = word.substr(colon + 1);
      requireArgs(request.name, request.args);
    }
    if (!isNetworkName(request.name)) {
      throw UsageError(fmt::format("--net: '{}' is not the name of a network", printable(word)));
    }
    if (!names.insert(request.name).second) {
      throw UsageError(fmt::format("--net: network {} stands twice", request.name));
    }
    requests.push_back(std::move(request));
  }
  for (const std::string_view alone :
       {std::string_view("none"), std::string_view("host"), kUserNetwork}) {
    if (!names.contains(alone)) continue;
    if (requests.size() == 1 && requests[0].args.empty()) continue;
    throw UsageError(fmt::format("--net: '{}' stands alone", alone));
  }
  return requests;
}

bool hasContainedNetworks(std::string_view list) {
  return list != "none" && list != "host";
}

std::vector<NetworkInfo> readNetworks(const PodLayout& layout) {
  const auto text = tryReadFile(layout.netInfo(), kMaxNetInfo);
  std::vector<NetworkInfo> networks;
  if (!text) return networks;
  try {
    for (const Json& entry : parseJson(*text, "net-info.json", {.bytes = kMaxNetInfo})) {
      NetworkInfo network{stringMember(entry, "netName"), stringMemberOr(entry, "ifName", ""), {}};
      if (entry.contains("addresses")) {
        for (const Json& address : entry["addresses"])
          if (address.is_string()) network.addresses.push_back(address.get<std::string>());
      }
      networks.push_back(std::move(network));
    }
  } catch (const Error&) {
    networks.clear();  // a stage1 may be anybody's, and this is only shown
  }
  return networks;
}

std::string networkText(const NetworkInfo& network) {
  std::string text = network.name;
  char separator = ':';
  for (const std::string& address : network.addresses) {
    const bool isVersion6 = address.find(':') != std::string::npos;
    text += fmt::format("{}{}={}", separator, isVersion6 ? "ip6" : "ip4",
                        printable(address.substr(0, address.find('/'))));
    separator = ',';
  }
  return text;
}

}  // namespace actool::run
