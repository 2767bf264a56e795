// One image out of a swarm into the store.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/fs.h"
#include "core/cli/sibling_tool.h"
#include "p2p/session.h"
#include "p2p/swarm_config.h"

namespace actool::p2p {

struct GetRequest {
  std::string place;                         // a magnet link, else the path of a torrent file
  std::optional<Path> signature;             // else the torrent's own
  bool requireSignature = true;              // false: --insecure-options=image
  std::optional<std::uint64_t> size;         // what the image must have
  std::vector<std::string> ingestArguments;  // without signature and size
  std::vector<std::string> webSeeds;         // beside those of the torrent
  std::vector<std::string> trackers;
  std::vector<std::pair<std::string, int>> peers;
  SessionOptions session;
  // Asked when the torrent's swarm admits by certificate.
  std::function<SwarmConfig()> swarms;
  // So long without a byte, and the swarm is given up (NetworkError).
  std::chrono::seconds patience{60};
};

// The record of the committed image as a line. `progress` is given bytes there and bytes in all.
// What came before a failure stays in the store's ingest for the next fetch, over whatever
// transport. Throws NotFoundError when the torrent is of another file than the signature that was
// given or admits by certificates of which none is configured, TrustError when there is no
// signature or ours would not be admitted, NetworkError, and ingest's own failures.
std::string getImage(const GetRequest& request, const cli::Siblings& siblings,
                     const std::function<void(std::uint64_t, std::uint64_t)>& progress);

}  // namespace actool::p2p
