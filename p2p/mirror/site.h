// A mirror site as a whole.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cas/layout/distributed.h"
#include "core/base/lock.h"
#include "p2p/mirror/release.h"
#include "p2p/mirror/site_config.h"
#include "p2p/mirror/site_layout.h"

namespace actool::mirror {

// Makes an empty site. Throws Error when there is one already.
void initSite(const Path& dir, const SiteConfig& config);

// A site that is read. Throws NotFoundError when there is none.
class Site {
 public:
  static Site open(const Path& dir);

  const SiteLayout& layout() const { return layout_; }
  const SiteConfig& config() const { return config_; }
  // Every name that has a page, sorted.
  std::vector<schema::AcIdentifier> names() const;

 private:
  Site(SiteLayout layout, SiteConfig config)
      : layout_(std::move(layout)), config_(std::move(config)) {}
  SiteLayout layout_;
  SiteConfig config_;
};

struct PruneOptions {
  // What nothing leads to any more is kept so long after its last change: who has read a page
  // goes on with what it announced, and an interrupted sync goes on with what it had copied.
  std::chrono::milliseconds grace{std::chrono::hours(24)};
  bool dryRun = false;
};

struct Removed {
  std::string path;  // below the site
  std::uint64_t bytes = 0;
};

// The right to change a site; no two processes have it at once.
class SiteWriter {
 public:
  // Waits a moment for another to end, then throws InUseError. Clears scratch that was left.
  explicit SiteWriter(const Site& site);

  // Copies an image and its signature into the site, if they are not there yet. Throws TrustError
  // when it has no signature, or the bytes are not those of its digest.
  void place(const cas::DistributedImage& image);
  // A public key's file; returns its digest.
  Digest placeKey(const std::string& armored);
  // Puts what `write` writes to the path that it is given under `target`.
  void placeFile(const Path& target, const std::function<void(const Path&)>& write);

  // Publishes the release, or takes the name away when it has no image. False: nothing changed.
  bool publish(const Release& release);
  // The pages of parents, and those of the site's own host. After names came or went.
  void writeListPages();
  // Removes what nothing leads to.
  std::vector<Removed> prune(const PruneOptions& options,
                             std::chrono::system_clock::time_point now);

 private:
  const Site& site_;
  FileLock lock_;
};

}  // namespace actool::mirror
