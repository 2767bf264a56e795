// A pair of interfaces that leads from a pod to its host, as CNI's ptp plugin makes it, by
// rtnetlink(7).
#pragma once

#include <string>

#include "run/native/net/ipv4.h"

namespace actool::run::native {

struct VethPair {
  std::string hostEnd;  // names of interfaces
  std::string podEnd;
  Subnet subnet;
  Ipv4 address;                   // the pod's, of the subnet; the host has the subnet's gateway
  bool isDefaultGateway = false;  // the host leads to everywhere, not to the subnet alone
};

// Makes the pair, with its addresses and routes: the host end in the caller's network namespace,
// the other in `space`, a descriptor of one. Both are gone when `space` is. The caller has to be
// single-threaded. Throws Error.
void makeVethPair(const VethPair& pair, int space);

// False when there is no such interface. The kernel takes tens of milliseconds for it.
bool removeVethPair(const std::string& hostEnd);

}  // namespace actool::run::native
