#include "cas/render_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <map>

#include "cas/erofs/check.h"
#include "cas/erofs/write.h"
#include "cas/render_tree.h"
#include "cas/verified.h"
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

void syncFile(const Path& file) {
  const UniqueFd fd = openFile(file.string(), O_RDONLY);
  if (::fsync(fd.get()) != 0) throwErrno("flushing " + file.string() + " to disk");
}

// Points the image's `tree` link at the tree. Under the store's lock, so that gc does not
// see the tree without the link.
void link(const StoreLayout& layout, const schema::ImageId& id, const std::string& key) {
  const Path target = layout.treeLinkTarget(key);
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

// Under the store's lock, before a tree of them gets its name: they may have been removed since it
// was begun, and who removed them could not find it.
void requireLayers(const StoreLayout& layout, const std::vector<RenderLayer>& layers) {
  const StoreReader reader(layout);
  for (const auto& layer : layers) {
    if (reader.has(layer.id)) continue;
    throw NotFoundError(fmt::format("image {} was removed meanwhile", layer.id.shortForm()),
                        "fetch it again");
  }
}

// One form of a tree, being made. The names in `made` go to the tree's directory in this order;
// by the last of them the form is whole.
using Make = std::function<RenderReport(const Path& made)>;

RenderReport make(const StoreLayout& layout, const schema::ImageId& id, const std::string& key,
                  const std::vector<RenderLayer>& layers, const std::vector<std::string>& names,
                  const Make& fill) {
  // gc empties tmp/ only while nobody holds this.
  makeDirs(layout.tmpDir());
  const FileLock tmpInUse = FileLock::acquire(layout.tmpDir(), LockMode::shared);
  const TempDir made(layout.tmpDir(), "tree.");
  RenderReport report = fill(made.path());
  const FileLock lock = FileLock::acquire(layout.lockFile(), LockMode::exclusive);
  requireLayers(layout, layers);
  // Stays 0700: set-user-ID programs of images are not for the host's users. Pods get at the tree
  // by mounts.
  makeDirs(layout.treeDir(key), 0700);
  for (const auto& name : names) {
    const Path to = layout.treeDir(key) / name;
    // What is there without the last name was left by a crash.
    removeTree(to);
    if (!renameNoReplace(made.path() / name, to)) throw Error(to.string() + " is in the way");
  }
  // The point of no return is behind: by the last name the tree is whole.
  syncDir(layout.treeDir(key));
  syncDir(layout.treesDir());
  if (names.back() == kMetadataStamp) stampMetadata(layout, key);
  link(layout, id, key);
  return report;
}

// Makes the form whose last name is names.back(), unless it is there. One process makes a tree,
// others that want the same wait here.
RenderReport makeOnce(const StoreLayout& layout, const schema::ImageId& id,
                      const std::vector<RenderLayer>& layers, const std::vector<std::string>& names,
                      const Make& fill) {
  const std::string key = treeKey(layers);
  makeDirs(layout.treesDir());
  const FileLock making =
      FileLock::acquire(layout.treesDir() / (key + ".lock"), LockMode::exclusive);
  const Path whole = layout.treeDir(key) / names.back();
  if (actool::exists(whole)) {
    const FileLock lock = FileLock::acquire(layout.lockFile(), LockMode::exclusive);
    // Again, as gc may have been at it until we had the lock.
    if (actool::exists(whole)) {
      requireLayers(layout, layers);
      link(layout, id, key);
      return {};
    }
  }
  return make(layout, id, key, layers, names, fill);
}

// The tars of the layers, each once, in the order in which layers first come to them.
struct LayerDevices {
  std::vector<MountableDevice> devices;
  std::vector<std::size_t> ofLayer;
};

LayerDevices devicesOf(const std::vector<RenderLayer>& layers) {
  LayerDevices result;
  std::map<schema::ImageId, std::size_t> known;
  for (const auto& layer : layers) {
    const auto [entry, fresh] = known.emplace(layer.id, result.devices.size());
    if (fresh) {
      struct stat info {};
      if (::stat(layer.tar.c_str(), &info) != 0) throwErrno("looking at " + layer.tar.string());
      result.devices.push_back({layer.id, static_cast<std::uint64_t>(info.st_size), layer.tar});
    }
    result.ofLayer.push_back(entry->second);
  }
  return result;
}

}  // namespace

schema::ImageId StoreResolver::resolve(const schema::Dependency& dependency) {
  if (dependency.imageId) {
    if (!reader_.has(*dependency.imageId)) {
      throw NotFoundError(fmt::format("dependency {} ({}) is not in the store",
                                      dependency.imageName.str(), dependency.imageId->shortForm()),
                          "fetch it");
    }
    return *dependency.imageId;
  }
  const schema::AppRef ref(dependency.imageName, dependency.labels);
  if (!view_) view_.emplace(layout_);
  if (const auto image = view_->catalog().match(ref)) return image->id;
  throw NotFoundError(fmt::format("dependency {} is not in the store", ref.str()), "fetch it");
}

schema::ImageManifest StoreResolver::manifest(const schema::ImageId& id) {
  return reader_.manifest(id);
}

Path StoreResolver::tar(const schema::ImageId& id) {
  return layout_.tarBlob(id);
}

std::string treeKey(const std::vector<RenderLayer>& layers) {
  Hasher hasher(DigestAlgorithm::sha256);
  hasher.update(kTreeFormat);
  for (const auto& layer : layers)
    hasher.update(layer.id.str() + "\n");
  return "sha256-" + hasher.finish().hex();
}

RenderReport writeErofsOf(const std::vector<RenderLayer>& layers, const Path& dir,
                          std::size_t maxInodes) {
  const LayerDevices devices = devicesOf(layers);
  RenderTree tree(maxInodes);
  std::vector<UniqueFd> owners;
  std::vector<ErofsDevice> tars;
  std::vector<std::uint64_t> sizes;
  for (const auto& device : devices.devices) {
    owners.push_back(openFile(device.tar.string(), O_RDONLY));
    // The first half of the image ID's digits.
    tars.push_back(
        {device.image.tarDigest().hex().substr(0, 64), device.size, owners.back().get()});
    sizes.push_back(device.size);
  }
  for (std::size_t i = 0; i < layers.size(); ++i)
    tree.addLayer(tars[devices.ofLayer[i]].tar, layers[i]);
  tree.prune();
  writeFilePlain(dir / "devices", formatDevices(devices.devices), 0600);
  const UniqueFd metadata = openFile((dir / "erofs").string(), O_RDWR | O_CREAT | O_EXCL, 0600);
  RenderReport report = writeErofs(tree, tars, devices.ofLayer, metadata.get());
  checkErofs(metadata.get(), sizes);
  return report;
}

RenderedTree renderInStore(const StoreLayout& layout, const schema::ImageId& id) {
  StoreResolver resolver(layout);
  const auto layers = planRender(id, resolver);
  const std::string key = treeKey(layers);
  bool fresh = false;
  RenderReport report = makeOnce(layout, id, layers, {"rootfs"}, [&](const Path& made) {
    fresh = true;
    RenderReport rendered = renderTree(layers, made / "rootfs");
    syncFileSystem(made);
    return rendered;
  });
  // What was made of tars that are known to be good is good.
  if (fresh && std::all_of(layers.begin(), layers.end(), [&](const RenderLayer& layer) {
        return isTarStamped(layout, layer.id);
      })) {
    stampRendered(layout, key, lookOfTree(layout.treeRoot(key)));
  }
  return {.rootfs = layout.treeRoot(key), .report = std::move(report)};
}

ErofsTree makeErofsInStore(const StoreLayout& layout, const schema::ImageId& id,
                           std::size_t maxInodes) {
  StoreResolver resolver(layout);
  const auto layers = planRender(id, resolver);
  const std::string key = treeKey(layers);
  RenderReport report = makeOnce(layout, id, layers, {"devices", "erofs"}, [&](const Path& made) {
    RenderReport written =
        withContext("making EROFS metadata", [&] { return writeErofsOf(layers, made, maxInodes); });
    syncFile(made / "devices");
    syncFile(made / "erofs");
    return written;
  });
  return {.metadata = layout.erofsFile(key), .report = std::move(report)};
}

}  // namespace actool::cas
