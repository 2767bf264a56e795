// Gives the images of a store to others. Knows nothing of signals, sockets or systemd: that is
// seed_service.h. Used by one thread; hashing happens in another one of its own.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <libtorrent/session.hpp>
#include <libtorrent/torrent_handle.hpp>

#include "cas/layout/distributed.h"
#include "core/base/json.h"
#include "p2p/session.h"
#include "p2p/swarm_config.h"
#include "p2p/torrent_cache.h"

namespace actool::p2p {

struct SeederOptions {
  SessionOptions session;
  std::vector<std::string> trackers;
  std::vector<std::pair<std::string, int>> peers;
  bool isPrivate = false;    // torrents of BEP 27, no DHT, LSD and PEX
  bool v1 = false;           // each also as a v1 torrent
  bool unsignedToo = false;  // --insecure-options=image
  SwarmConfig swarms = {};   // whose images' swarms admit by certificate
  double ratio = 0;          // an image is given that many times its size, then no more; 0: any
  std::optional<std::set<schema::ImageId>> only = {};  // else every image of the store
};

class Seeder {
 public:
  // The store need not be there yet. `cache` may be empty (nothing is kept).
  Seeder(cas::StoreLayout layout, const Path& cache, SeederOptions options);
  ~Seeder();
  Seeder(const Seeder&) = delete;
  Seeder& operator=(const Seeder&) = delete;

  // Looks what the store has now: what is new is made a torrent of and seeded, what is gone is no
  // longer. True when the set of images changed.
  bool scan();
  // Of everything that happened meanwhile: alerts, torrents that were made, ratios.
  void tick();
  // Readable by poll(2) when tick() has something to do.
  int wakeFd() const { return wake_.get(); }

  // The images that are seeded or about to be.
  std::vector<schema::ImageId> images() const;
  int listenPort() const;
  // For `seed status`: see docs/p2p.md.
  Json status() const;

 private:
  struct Seed;
  struct Job;
  struct Made;

  void hashLoop();
  void addSeed(Seed& seed, const std::string& torrent);
  void addTorrent(Seed& seed, const std::string& torrent,
                  const std::optional<SwarmIdentity>& identity);
  void removeSeed(Seed& seed);
  void signal() const;

  const cas::StoreLayout layout_;
  const TorrentCache cache_;
  const SeederOptions options_;
  UniqueFd wake_;
  BytesRegistry registry_;
  std::map<schema::ImageId, std::unique_ptr<Seed>> seeds_;
  std::uint64_t serial_ = 0;
  std::string error_;  // the latest of the session, for status
  int port_ = 0;
  int portTls_ = 0;
  std::unique_ptr<lt::session> session_;

  // Between scan(), the hashing thread and tick().
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> jobs_;
  std::vector<Made> made_;
  std::atomic<bool> stopping_ = false;
  std::thread hashing_;
};

}  // namespace actool::p2p
