// Puts a pod into its networks and takes it out again.
#pragma once

#include <string>
#include <vector>

#include "core/base/uuid.h"
#include "run/native/net/net_state.h"
#include "run/native/net/plugin.h"
#include "run/pod_layout.h"

namespace actool::run::native {

// Runs the plugins of the networks, in order, for the network namespace at the path `netns`. What
// is about to be done is noted in the pod's net-info.json before it is. When something fails, what
// was done is undone. Writes the stage1's etc/rkt-resolv.conf when a plugin names DNS servers.
void joinNetworks(const PodLayout& layout, const Uuid& pod, const std::vector<Network>& networks,
                  const Plugins& plugins, const std::string& netns);

// Runs the plugins to undo it, in reverse, and removes net-info.json when all has gone well; with
// something left to tidy, it becomes net-left.json. An empty `netns`: the namespace is gone; one
// that looks like it is made for the plugins, which take the addresses that they are to forget from
// the pod's interfaces. Goes on after failures, and throws the first.
void leaveNetworks(const PodLayout& layout, const Uuid& pod, const Plugins& plugins,
                   const std::string& netns);

// Undoes what stays for the next pod when one leaves (own_network.h), as nobody is there any more,
// and removes net-left.json.
void tidyNetworks(const PodLayout& layout);

// The text of a resolv.conf for the "dns" of results; empty when they name no server.
std::string resolvConf(const std::vector<JoinedNetwork>& networks);

}  // namespace actool::run::native
