// Network address translation for the pods of a subnet, by nf_tables: a table of its own in the
// host's network namespace, so that what others have there is not touched.
#pragma once

#include <string>

#include "run/native/net/ipv4.h"

namespace actool::run::native {

// The table of a network, "actool-default-172.16.28.0/24":
//
//   chain postrouting { type nat hook postrouting priority srcnat;
//     ip saddr SUBNET ip daddr != SUBNET ip daddr != 224.0.0.0/4 masquerade }
//
// It holds for every pod of the subnet; one that is there already is left as it is. Throws Error.
void addMasquerade(const std::string& network, const Subnet& subnet);

// False when there is none. The kernel takes tens of milliseconds for it.
bool removeMasquerade(const std::string& network, const Subnet& subnet);

}  // namespace actool::run::native
