#include "cas/render_plan.h"

#include <algorithm>

#include "cas/aci_path.h"
#include "core/base/error.h"

namespace actool::cas {

namespace {

using Whitelists = std::vector<std::shared_ptr<const PathWhitelist>>;

class Planner {
 public:
  Planner(ImageResolver& resolver, const RenderLimits& limits)
      : resolver_(resolver), limits_(limits) {}

  void visit(const schema::ImageId& id, const schema::ImageManifest& manifest,
             Whitelists whitelists) {
    if (std::find(path_.begin(), path_.end(), id) != path_.end()) {
      throw Error("image " + id.shortForm() + " (" + manifest.name.str() +
                  ") depends on itself, through its own dependencies");
    }
    if (path_.size() >= limits_.depth) {
      throw Error("dependencies nest deeper than " + std::to_string(limits_.depth) + " images");
    }
    path_.push_back(id);
    if (!manifest.pathWhitelist.empty()) {
      whitelists.push_back(withContext("pathWhitelist of " + manifest.name.str(), [&] {
        return std::make_shared<const PathWhitelist>(manifest.pathWhitelist);
      }));
    }
    for (const schema::Dependency& dependency : manifest.dependencies) {
      withContext("dependency " + dependency.imageName.str() + " of " + manifest.name.str(),
                  [&] { descend(dependency, whitelists); });
    }
    path_.pop_back();
    if (layers_.size() >= limits_.layers) {
      throw Error("dependencies add up to more than " + std::to_string(limits_.layers) + " layers");
    }
    layers_.push_back({id, resolver_.tar(id), std::move(whitelists)});
  }

  std::vector<RenderLayer> take() { return std::move(layers_); }

 private:
  void descend(const schema::Dependency& dependency, const Whitelists& whitelists) {
    const schema::ImageId id = resolver_.resolve(dependency);
    if (dependency.imageId && *dependency.imageId != id) {
      throw TrustError("image " + id.shortForm() + " is not the " +
                       dependency.imageId->shortForm() + " that is asked for");
    }
    const schema::ImageManifest manifest = resolver_.manifest(id);
    if (manifest.name != dependency.imageName) {
      throw TrustError("image " + id.shortForm() + " is named " + manifest.name.str());
    }
    if (const auto label = dependency.labels.firstMismatch(manifest.labels)) {
      throw TrustError("image " + id.shortForm() + " does not have the label " + label->name.str() +
                       "=" + inQuotes(label->value));
    }
    visit(id, manifest, whitelists);
  }

  ImageResolver& resolver_;
  const RenderLimits limits_;
  std::vector<schema::ImageId> path_;  // from the image asked for down to the current one
  std::vector<RenderLayer> layers_;
};

}  // namespace

PathWhitelist::PathWhitelist(const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    if (!path.starts_with('/')) throw Error(inQuotes(path) + " is not absolute");
    if (path == "/") continue;  // the root is always there
    std::string inner =
        withContext(inQuotes(path), [&] { return normalPath(std::string_view(path).substr(1)); });
    for (auto above = parentOf(inner); !above.empty(); above = parentOf(above)) {
      above_.emplace(above);
    }
    listed_.insert(std::move(inner));
  }
}

std::vector<RenderLayer> planRender(const schema::ImageId& id, ImageResolver& resolver,
                                    const RenderLimits& limits) {
  Planner planner(resolver, limits);
  planner.visit(id, resolver.manifest(id), {});
  return planner.take();
}

}  // namespace actool::cas
