// The file tree that layers make together, worked out in memory before anything is written:
// what a later layer overrides is never made, so nothing on disk is ever replaced or removed,
// and no link is there to be followed. Memory goes with the number of entries (some hundred
// bytes each, AciLimits::entries at most), not with their size.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cas/aci_tar.h"
#include "cas/render_plan.h"

namespace actool::cas {

// A file, link target, device or directory with its metadata. Several nodes may share one:
// these are hard links.
struct RenderInode {
  TarEntry entry;         // its path is cleared
  std::size_t layer = 0;  // whose tar has the data
};

struct RenderNode {
  static constexpr std::size_t kNoInode = ~std::size_t{0};

  std::size_t inode = kNoInode;  // none: a directory that no layer has an entry for
  bool directory = true;
  bool wanted = false;  // for its own sake, not only as the way to another
  std::map<std::string, std::unique_ptr<RenderNode>, std::less<>> children;
};

class RenderTree {
 public:
  // Lays the rootfs of `tarFd` over what is there. What is no directory is replaced with all
  // that is below; a directory over a directory takes the new one's metadata. Throws
  // TrustError on an archive that checkAci() would refuse for its paths or links.
  void addLayer(int tarFd, const RenderLayer& layer);

  // After the last layer: removes directories that a whitelist let through on the way to a
  // path that is not there.
  void prune();

  const RenderNode& root() const { return root_; }
  const std::vector<RenderInode>& inodes() const { return inodes_; }

 private:
  RenderNode& makeDirectory(const std::string& path);
  std::size_t addInode(TarEntry entry);

  RenderNode root_;
  std::vector<RenderInode> inodes_;
  std::size_t layers_ = 0;
};

}  // namespace actool::cas
