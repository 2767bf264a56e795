// The file tree that layers make together, worked out in memory before anything is written:
// what a later layer overrides is never made, so nothing on disk is ever replaced or removed,
// and no link is there to be followed. Memory goes with the number of entries (some hundred
// bytes each, AciLimits::entries at most), not with their size.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cas/aci_tar.h"
#include "cas/render_plan.h"
#include "core/base/fd.h"

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
  // Of files, links, devices and directories that any layer has, overridden ones too: an Error
  // beyond so many.
  explicit RenderTree(std::size_t maxInodes = ~std::size_t{0});

  // Lays the rootfs of `tarFd` over what is there. What is no directory is replaced with all
  // that is below; a directory over a directory takes the new one's metadata. Throws
  // TrustError on an archive that checkAci() would refuse for its paths or links.
  void addLayer(int tarFd, const RenderLayer& layer);

  // After the last layer: removes directories that a whitelist let through on the way to a
  // path that is not there.
  void prune();

  const RenderNode& root() const { return root_; }
  const std::deque<RenderInode>& inodes() const { return inodes_; }
  // Of a directory: what its layer says, or root's with mode 0755 where no layer has an entry for
  // it.
  const TarEntry& directoryEntry(const RenderNode& node) const;

 private:
  RenderNode& makeDirectory(const std::string& path);
  const RenderNode* find(std::string_view path) const;
  // The inode of what is no directory at `path`, if the present layer put it there.
  std::optional<std::size_t> ofThisLayer(std::string_view path) const;
  std::size_t addInode(TarEntry entry);

  RenderNode root_;
  std::deque<RenderInode> inodes_;  // large ones: never moved
  std::size_t layers_ = 0;
  std::size_t maxInodes_;
  TarEntry implied_;
};

// The tree of some layers, pruned, with their tars open.
class LayeredTree {
 public:
  explicit LayeredTree(const std::vector<RenderLayer>& layers);

  const RenderTree& tree() const { return tree_; }
  // The descriptor of the tar that has the inode's data.
  int tar(const RenderInode& inode) const { return tars_[inode.layer].get(); }

 private:
  RenderTree tree_;
  std::vector<UniqueFd> tars_;
};

}  // namespace actool::cas
