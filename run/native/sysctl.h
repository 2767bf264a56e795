// Kernel parameters of a pod's own namespaces (os/unix/sysctl, an isolator of pods).
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/schema/isolator.h"

namespace actool::run::native {

// Names are as sysctl(8) has them: "net.ipv4.ip_forward".
using Sysctls = std::vector<std::pair<std::string, std::string>>;

// Of the pod's isolators. Throws Error for a parameter that is not of a namespace which the pod has
// for itself: setting it would change the host.
Sysctls podSysctls(const schema::Isolators& isolators, bool ownNetwork, bool ownIpc);

// Those of the namespaces among `kinds` (CLONE_NEWNET, CLONE_NEWIPC, CLONE_NEWUTS).
Sysctls sysctlsOf(const Sysctls& sysctls, std::uint64_t kinds);

// What lets a pod whose root is not the network namespace's do what any pod's root can: listen on
// ports below 1024, and ping.
Sysctls privateUsersSysctls();

// For a process in the pod's namespaces that sees the host's /proc.
void setSysctls(const Sysctls& sysctls);

}  // namespace actool::run::native
