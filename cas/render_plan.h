// What an image's file system is made of: the image, its dependencies, theirs, in the order
// in which they override each other (appc spec/ace.md, Filesystem Setup).
#pragma once

#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "core/base/fs.h"
#include "core/schema/image_id.h"
#include "core/schema/image_manifest.h"

namespace actool::cas {

// An image's pathWhitelist, made ready for lookups. Paths are relative to the root, without
// '/' at either end ("etc/ssl"). A whitelist is "a complete and absolute set": a listed
// directory stands for itself, not for what is below it. The directories above a listed path
// come along with it.
class PathWhitelist {
 public:
  // Absolute paths as in the manifest. Throws Error on one that is not, or has ".." in it.
  explicit PathWhitelist(const std::vector<std::string>& paths);

  bool lists(const std::string& path) const { return listed_.contains(path); }
  bool leadsTo(const std::string& path) const { return above_.contains(path); }

 private:
  std::unordered_set<std::string> listed_;
  std::unordered_set<std::string> above_;
};

struct RenderLayer {
  schema::ImageId id;
  Path tar;  // uncompressed
  // Of the image itself and of those that depend on it on this path; a file is taken when
  // all of them have it. Empty: everything.
  std::vector<std::shared_ptr<const PathWhitelist>> whitelists;
};

// Where planRender() finds images; the store implements it.
class ImageResolver {
 public:
  virtual ~ImageResolver() = default;
  // The image a dependency stands for: its imageID, else the best match of name and labels.
  // Throws NotFoundError naming the dependency.
  virtual schema::ImageId resolve(const schema::Dependency& dependency) = 0;
  virtual schema::ImageManifest manifest(const schema::ImageId& id) = 0;
  virtual Path tar(const schema::ImageId& id) = 0;
};

struct RenderLimits {
  std::size_t depth = 64;     // of dependencies of dependencies
  std::size_t layers = 1024;  // a DAG of n diamonds has 2^n paths
};

// The layers of `id`, the first to be overridden by all others first, `id` itself last. An image
// that is reached by several paths stands in it several times. Throws TrustError when what a
// dependency resolved to has another ID, name or labels than it asks for; Error when images
// depend on each other in a circle or over the limits. Opens no tar.
std::vector<RenderLayer> planRender(const schema::ImageId& id, ImageResolver& resolver,
                                    const RenderLimits& limits = {});

}  // namespace actool::cas
