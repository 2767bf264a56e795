// Networks that need no plugin: what CNI's ptp and host-local do, done here. A plugin's start alone
// takes longer than that of a pod.
//
//   {"name": "default", "type": "actool-ptp", "subnet": "172.16.28.0/24",
//    "isDefaultGateway": true, "ipMasq": true}
#pragma once

#include <string>

#include "core/base/json.h"
#include "core/base/uuid.h"

namespace actool::run::native {

// One interface of a pod in such a network.
struct OwnMember {
  std::string network;
  Uuid pod;
  std::string interface;  // "eth0"
};

bool isOwnType(const Json& config);

// Throws UsageError for a configuration that is not as above.
void checkOwnConfig(const Json& config);

// Gives the interface an address, its link to the host, and NAT with "ipMasq", in the network
// namespace at the path `netns`; `args` are CNI_ARGS, of which "IP" asks for an address. The result
// is a plugin's. Throws Error.
Json joinOwnNetwork(const Json& config, const OwnMember& member, const std::string& netns,
                    const std::string& args);

// Gives the address back. The link goes with the pod's namespace: when that is said to be gone and
// something kept it, here.
void leaveOwnNetwork(const OwnMember& member, bool namespaceIsGone);

// Ends NAT when no pod is in the network any more. Not part of leaving it: the next pod begins
// sooner.
void tidyOwnNetwork(const Json& config, const std::string& network);

}  // namespace actool::run::native
