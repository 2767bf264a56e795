// Rendered trees of the store: trees/<key>/rootfs, made once for each set of layers.
#pragma once

#include <string>

#include "cas/render.h"
#include "cas/render_plan.h"
#include "cas/store.h"
#include "core/schema/image_id.h"

namespace actool::cas {

// Finds dependencies among the images of the store.
class StoreResolver : public ImageResolver {
 public:
  // `view` has to outlive this object.
  explicit StoreResolver(const StoreView& view) : view_(view) {}
  schema::ImageId resolve(const schema::Dependency& dependency) override;
  schema::ImageManifest manifest(const schema::ImageId& id) override;
  Path tar(const schema::ImageId& id) override;

 private:
  const StoreView& view_;
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

}  // namespace actool::cas
