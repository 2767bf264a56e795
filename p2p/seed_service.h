// A seeder as a service in the foreground: signals, systemd, the store's changes, its lease, the
// control socket and metrics.
#pragma once

#include <optional>
#include <string>

#include "cas/layout.h"
#include "p2p/seeder.h"

namespace actool::p2p {

struct SeedServiceOptions {
  SeederOptions seeder;
  Path cacheDir;     // empty: torrents are not kept
  Path controlPath;  // empty: no control socket
  std::optional<std::pair<std::string, int>> metrics;
  bool sandbox = true;
};

// Runs until SIGTERM, SIGINT or SIGHUP. To be called by a process of one thread.
void runSeedService(const cas::StoreLayout& layout, const SeedServiceOptions& options);

}  // namespace actool::p2p
