// Trees of the store, made once for each set of layers: rendered ones in trees/<key>/rootfs, and
// metadata to mount over the tars as they are in trees/<key>/erofs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cas/layout.h"
#include "cas/render.h"
#include "cas/render_plan.h"
#include "cas/store.h"
#include "core/schema/image_id.h"

namespace actool::cas {

// Finds dependencies among the images of the store. Opens the index only for one that is asked
// for by name.
class StoreResolver : public ImageResolver {
 public:
  // `layout` has to outlive this object.
  explicit StoreResolver(const StoreLayout& layout) : reader_(layout), layout_(layout) {}
  schema::ImageId resolve(const schema::Dependency& dependency) override;
  schema::ImageManifest manifest(const schema::ImageId& id) override;
  Path tar(const schema::ImageId& id) override;

 private:
  StoreReader reader_;
  const StoreLayout& layout_;
  std::optional<StoreView> view_;
};

// The name of the tree: a digest of everything that decides what is in it, which is the IDs of
// the layers in their order (whitelists are in the manifests, and these in the IDs).
std::string treeKey(const std::vector<RenderLayer>& layers);

struct RenderedTree {
  Path rootfs;
  RenderReport report;  // empty when the tree was there already
};

// The tree of an image with its dependencies, made unless it is there, and the image's `tree`
// link to it. Processes that want the same tree make it once: the others wait. Whole or not
// there at any instant.
RenderedTree renderInStore(const StoreLayout& layout, const schema::ImageId& id);

// Writes `erofs` and `devices` (docs/store-format.md) of the tree into `dir`: its EROFS metadata
// over the tars of its layers, each of them one extra device, checked. Error when EROFS can't hold
// it. Syncs nothing. `maxInodes` is RenderTree's: each takes some 700 bytes of memory.
RenderReport writeErofsOf(const std::vector<RenderLayer>& layers, const Path& dir,
                          std::size_t maxInodes = ~std::size_t{0});

struct ErofsTree {
  Path metadata;        // StoreReader::mountable() has the rest
  RenderReport report;  // empty when it was there already
};

// The same tree as such metadata. Error when EROFS can't hold it: render it then.
ErofsTree makeErofsInStore(const StoreLayout& layout, const schema::ImageId& id,
                           std::size_t maxInodes = ~std::size_t{0});

}  // namespace actool::cas
