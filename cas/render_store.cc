#include "cas/render_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

#include "core/base/digest.h"
#include "core/base/error.h"
#include "core/base/lock.h"

namespace actool::cas {

namespace {

// Changes when rendering makes other trees of the same layers than it did.
constexpr std::string_view kTreeFormat = "actool-tree 1\n";

void syncFileSystem(const Path& dir) {
  const UniqueFd fd = openFile(dir.string(), O_RDONLY | O_DIRECTORY);
  // One call for thousands of files; what else is dirty on the file system comes along.
  if (::syncfs(fd.get()) != 0) throwErrno("flushing " + dir.string() + " to disk");
}

// Points the image's `tree` link at the tree. Under the store's lock, so that gc does not
// see the tree without the link.
void link(const StoreLayout& layout, const schema::ImageId& id, const std::string& key) {
  const Path target = Path("../../../trees") / key;
  std::error_code error;
  if (std::filesystem::read_symlink(layout.treeLink(id), error) == target) return;
  const Path fresh = layout.imageDir(id) / "tree.new";
  removeTree(fresh);
  if (::symlink(target.c_str(), fresh.c_str()) != 0) throwErrno("making " + fresh.string());
  if (::rename(fresh.c_str(), layout.treeLink(id).c_str()) != 0) {
    throwErrno("renaming " + fresh.string());
  }
  syncDir(layout.imageDir(id));
}

RenderReport make(const StoreLayout& layout, const std::vector<RenderLayer>& layers,
                  const schema::ImageId& id, const std::string& key) {
  // gc empties tmp/ only while nobody holds this.
  makeDirs(layout.tmpDir());
  const FileLock tmpInUse = FileLock::acquire(layout.tmpDir(), LockMode::shared);
  // Stays 0700 below its final name: set-user-ID programs of images are not for the host's
  // users. Pods get at the tree by mounts.
  TempDir made(layout.tmpDir(), "tree.");
  RenderReport report = renderTree(layers, made.path() / "rootfs");
  syncFileSystem(made.path());

  const FileLock lock = FileLock::acquire(layout.lockFile(), LockMode::exclusive);
  // The point of no return: by this name the tree is whole.
  if (renameNoReplace(made.path(), layout.treeDir(key))) {
    made.release();
  } else if (!actool::exists(layout.treeDir(key) / "rootfs")) {
    throw Error(layout.treeDir(key).string() + " is there, but has no rootfs",
                "run 'actool image gc'");
  }
  syncDir(layout.treesDir());
  link(layout, id, key);
  return report;
}

}  // namespace

schema::ImageId StoreResolver::resolve(const schema::Dependency& dependency) {
  if (dependency.imageId) {
    if (!view_.reader().has(*dependency.imageId)) {
      throw NotFoundError(fmt::format("dependency {} ({}) is not in the store",
                                      dependency.imageName.str(), dependency.imageId->shortForm()),
                          "fetch it");
    }
    return *dependency.imageId;
  }
  const schema::AppRef ref(dependency.imageName, dependency.labels);
  if (const auto image = view_.catalog().match(ref)) return image->id;
  throw NotFoundError(fmt::format("dependency {} is not in the store", ref.str()), "fetch it");
}

schema::ImageManifest StoreResolver::manifest(const schema::ImageId& id) {
  return view_.reader().manifest(id);
}

Path StoreResolver::tar(const schema::ImageId& id) {
  return view_.reader().layout().tarBlob(id);
}

std::string treeKey(const std::vector<RenderLayer>& layers) {
  Hasher hasher(DigestAlgorithm::sha256);
  hasher.update(kTreeFormat);
  for (const auto& layer : layers)
    hasher.update(layer.id.str() + "\n");
  return "sha256-" + hasher.finish().hex();
}

RenderedTree renderInStore(const StoreLayout& layout, const schema::ImageId& id) {
  const StoreView view(layout);
  StoreResolver resolver(view);
  const auto layers = planRender(id, resolver);
  const std::string key = treeKey(layers);
  RenderedTree tree{.rootfs = layout.treeDir(key) / "rootfs", .report = {}};
  // One process makes a tree, others of the same wait here.
  makeDirs(layout.treesDir());
  const FileLock making =
      FileLock::acquire(layout.treesDir() / (key + ".lock"), LockMode::exclusive);
  if (actool::exists(tree.rootfs)) {
    const FileLock lock = FileLock::acquire(layout.lockFile(), LockMode::exclusive);
    // Again, as gc may have been at it until we had the lock.
    if (actool::exists(tree.rootfs)) {
      link(layout, id, key);
      return tree;
    }
  }
  tree.report = make(layout, layers, id, key);
  return tree;
}

}  // namespace actool::cas
