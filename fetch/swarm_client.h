// The door to swarms: what this tool asks of `actool-p2p`, which is another program so that this
// one links no BitTorrent (docs/p2p.md).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/base/fs.h"
#include "core/record/record.h"
#include "fetch/ingest_client.h"

namespace actool::fetch {

// How a swarm is to be joined, as `actool p2p get` takes it: "--dht=off", "--peer=192.0.2.7:6881".
using SwarmWords = std::vector<std::string>;

using SwarmProgress = std::function<void(std::uint64_t done, std::uint64_t total)>;

// Calls may come from several threads at once.
class SwarmClient {
 public:
  virtual ~SwarmClient() = default;
  // False where there is no actool-p2p.
  virtual bool available() const = 0;
  // Brings the image of `torrent`, a file or a magnet link, into the store. Without a signature in
  // `request` the torrent's own counts. Throws what actool-p2p or the ingest ended with.
  virtual record::Image get(const std::string& torrent, const IngestRequest& request,
                            const std::vector<std::string>& webSeeds,
                            const SwarmProgress& progress) = 0;
};

}  // namespace actool::fetch
