// Which networks a pod is in: what --net says, and what the stage1 did about it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/json.h"
#include "run/pod_layout.h"

namespace actool::run {

// The network, alone too, that a stage1 makes without any right on the host: what `default` is to
// pods that are not root's.
inline constexpr std::string_view kUserNetwork = "slirp4netns";

// One network of --net: "name" or "name:KEY=VALUE;KEY=VALUE", whose arguments are CNI_ARGS.
struct NetworkRequest {
  std::string name;  // letters, digits, '.', '_', '-'
  std::string args;  // "IP=10.1.0.7;X=y"; may be empty
};

// "a,b:IP=10.1.0.7". Throws UsageError on a name that is malformed or stands twice, and on "host",
// "none" or "slirp4netns" beside others.
std::vector<NetworkRequest> parseNetworks(std::string_view list);

// Whether the list means networks that have to be set up: neither "none" nor "host".
bool hasContainedNetworks(std::string_view list);

// A network that a pod is in; docs/stage1-interface.md, net-info.json.
struct NetworkInfo {
  std::string name;
  std::string interface;
  std::vector<std::string> addresses;  // "172.16.28.2/24"
};

// Of a pod; empty when its stage1 noted none.
std::vector<NetworkInfo> readNetworks(const PodLayout& layout);

// "default:ip4=172.16.28.2", as rkt shows them.
std::string networkText(const NetworkInfo& network);

}  // namespace actool::run
