// Torrents of the store's images, kept so that a seeder that starts again hashes nothing
// (docs/p2p.md, Seeding).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "cas/layout/distributed.h"
#include "cas/layout/stamp.h"
#include "core/base/fs.h"
#include "p2p/swarm_ca.h"

namespace actool::p2p {

// Files `<sha256 of the image's file>-<beginning of the signature's digest>.torrent` in one
// directory, with the beginning of the digest of its authority's certificate before the dot where
// the swarm admits by certificate. Each says how the file looked when it was hashed: of a file that
// looks otherwise now, nothing is believed.
class TorrentCache {
 public:
  // The directory is made with the first put(). An empty path: nothing is kept.
  explicit TorrentCache(Path dir) : dir_(std::move(dir)) {}

  // The torrent of `image`, whose file looks like `look` now; nothing when it has to be made.
  std::optional<std::string> get(const cas::DistributedImage& image, const cas::FileLook& look,
                                 const std::optional<SwarmCa>& ca) const;
  // Best effort: where nothing can be written, the next start hashes again.
  void put(const cas::DistributedImage& image, const cas::FileLook& look,
           const std::optional<SwarmCa>& ca, const std::string& torrent) const noexcept;
  // Removes those of images that are not `wanted`, by name of the file.
  void keepOnly(const std::function<bool(const std::string&)>& wanted) const noexcept;
  static std::string fileNameOf(const cas::DistributedImage& image,
                                const std::optional<SwarmCa>& ca);

 private:
  Path dir_;
};

}  // namespace actool::p2p
