// Network configurations: CNI's, in rkt's `net.d` directories, and the two that are built in.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/schema/pod_manifest.h"
#include "run/networks.h"

namespace actool::run::native {

// One network to join.
struct Network {
  std::string name;
  std::string cniVersion;
  std::vector<Json> plugins;  // the configurations of the chain's plugins, never empty
  std::string args;           // CNI_ARGS

  bool masquerades() const;  // any plugin has "ipMasq"
};

// The networks of `directories`' net.d/*.conf and *.conflist, a later directory's replacing an
// earlier one's of the same name, and "default" and "default-restricted" unless they are there,
// by the names of their files (those of the built-in ones begin with "99-"). Throws UsageError
// naming the file.
std::vector<Network> loadNetworks(const std::vector<Path>& directories);

// Those that were asked for ("all": all but default-restricted), in the order of loadNetworks().
// Throws NotFoundError.
std::vector<Network> chooseNetworks(const std::vector<Network>& known,
                                    const std::vector<NetworkRequest>& requests);

// Adds the port mappings (run/port_mappings.h) to the network that rkt would take: the first that
// masquerades, else the last. Does nothing without mappings.
void addPorts(std::vector<Network>& networks, const Json& mappings);

// The limit of network bandwidth that the pod or, the least of them, its apps ask for; bytes a
// second.
std::optional<std::int64_t> bandwidthLimit(const schema::PodManifest& pod);
// Limits each network to it, in both directions.
void addBandwidth(std::vector<Network>& networks, std::int64_t bytesPerSecond);

}  // namespace actool::run::native
