// A libtorrent session as this project wants it: no mapped memory, nothing that speaks without
// being asked to, and limits.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <libtorrent/fwd.hpp>

#include "core/cli/options.h"
#include "p2p/disk.h"
#include "p2p/swarm_ca.h"

namespace actool::p2p {

enum class DhtMode {
  off,
  privateNodes,  // a DHT of the nodes that are named, and of those they know
  publicNet,     // the one everybody is in
};

struct SessionOptions {
  // Of the session's own work: peers are connected to, and the session ends, at one of its ticks.
  std::chrono::milliseconds tick{500};
  std::vector<std::string> listen = {"0.0.0.0:0", "[::]:0"};  // port 0: any
  std::vector<std::string> listenTls = {};  // for swarms that admit by certificate
  DhtMode dht = DhtMode::off;
  std::vector<std::pair<std::string, int>> dhtNodes = {};
  bool localDiscovery = false;    // LSD (BEP 14)
  bool peerExchange = true;       // PEX (BEP 11)
  std::uint64_t uploadLimit = 0;  // bytes a second; 0: none
  std::uint64_t downloadLimit = 0;
  int connections = 100;
  int uploadSlots = -1;  // -1: by the rate that is reached
  bool verifyTls = true;
};

// The options that `get` and `seed` have in common.
struct SessionWords {
  std::vector<std::string> listen;
  std::string dht;
  std::vector<std::string> dhtNodes;
  bool lsd = false;
  bool noPex = false;
  std::string uploadLimit;
  std::string downloadLimit;
  std::uint16_t connections = 100;
};
void addSessionOptions(cli::Options& app, SessionWords& words);
// Throws UsageError.
SessionOptions sessionOptions(const SessionWords& words);

std::unique_ptr<lt::session> makeSession(const SessionOptions& options,
                                         const BytesRegistry& registry);

// Shows `identity` to the peers of `torrent`, which is one that admits by certificate, was added
// paused, and begins with this.
void beginAdmitted(lt::torrent_handle& torrent, const SwarmIdentity& identity);

// "ADDR:PORT" as they are typed, into what libtorrent takes. Port 0 is any. Throws UsageError.
std::vector<std::string> listenAddresses(std::string_view option,
                                         const std::vector<std::string>& words);

// Hosts that are names are asked of the resolver. Throws NetworkError when there is none.
lt::tcp::endpoint resolvePeer(const std::string& host, int port);

}  // namespace actool::p2p
