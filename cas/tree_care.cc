#include "cas/tree_care.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "cas/care.h"
#include "cas/erofs/check.h"
#include "cas/render_check.h"
#include "cas/render_store.h"
#include "cas/verified.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/own_root.h"

namespace actool::cas {

namespace {

constexpr std::size_t kMaxDevicesBytes = 1 << 20;

std::vector<MountableDevice> devicesOfTree(const StoreLayout& layout, const std::string& key) {
  const Path file = layout.devicesFile(key);
  return parseDevices(layout, readFile(file, kMaxDevicesBytes), file.string());
}

void drop(const StoreLayout& layout, const std::string& key) {
  // By the first name the form is whole.
  removeTree(layout.erofsFile(key));
  removeTree(layout.devicesFile(key));
}

template <typename Fn>
void forEachMetadata(const StoreLayout& layout, Fn&& fn) {
  for (const auto& key : listDir(layout.treesDir())) {
    if (!key.ends_with(".lock") && actool::exists(layout.erofsFile(key))) fn(key);
  }
}

void check(const StoreLayout& layout, const std::string& key) {
  std::vector<std::uint64_t> sizes;
  for (const auto& device : devicesOfTree(layout, key)) {
    struct stat info {};
    if (::stat(device.tar.c_str(), &info) != 0) throwErrno("looking at " + device.tar.string());
    if (static_cast<std::uint64_t>(info.st_size) != device.size) {
      throw Error(fmt::format("{} does not have {} bytes", device.tar.string(), device.size));
    }
    sizes.push_back(device.size);
  }
  checkErofs(openFile(layout.erofsFile(key).string(), O_RDONLY | O_NOFOLLOW).get(), sizes);
}

bool lacksTar(const StoreLayout& layout, const std::string& key) {
  const auto devices = devicesOfTree(layout, key);
  return std::any_of(devices.begin(), devices.end(),
                     [](const auto& device) { return !actool::exists(device.tar); });
}

bool sameContent(int one, int other) {
  std::array<std::byte, 64 << 10> left{};
  std::array<std::byte, 64 << 10> right{};
  while (true) {
    const std::size_t got = readFull(one, left, "EROFS metadata");
    if (readFull(other, right, "EROFS metadata") != got) return false;
    if (got == 0) return true;
    if (!std::equal(left.begin(), left.begin() + static_cast<std::ptrdiff_t>(got), right.begin())) {
      return false;
    }
  }
}

}  // namespace

std::set<std::string> linkedTrees(
    const StoreLayout& layout,
    const std::function<bool(const NamespaceName& ns, const schema::ImageId& id)>& leftOut) {
  std::set<std::string> linked;
  for (const auto& ns : namespacesOf(layout)) {
    const StoreReader reader(layout.in(ns));
    for (const auto& id : reader.ids()) {
      if (leftOut && leftOut(ns, id)) continue;
      if (auto key = reader.linkedTree(id)) linked.insert(std::move(*key));
    }
  }
  return linked;
}

void becomeOwnerOfTrees(const StoreLayout& layout) {
  if (::geteuid() == 0) return;
  const auto trees = listDir(layout.treesDir());
  const bool rendered = std::any_of(trees.begin(), trees.end(), [&](const std::string& key) {
    return actool::exists(layout.treeRoot(key));
  });
  // What a rendering that was killed has left.
  if (!rendered && listDir(layout.tmpDir()).empty()) return;
  try {
    becomeOwnRoot();
  } catch (const Error& error) {
    // Without one there are no such owners, or they will be named by what can't be removed.
    log::debug("{}", error.what());
  }
}

std::vector<std::string> dropBadMetadata(const StoreLayout& layout) {
  std::vector<std::string> dropped;
  const std::set<std::string> linked = linkedTrees(layout);
  forEachMetadata(layout, [&](const std::string& key) {
    try {
      if (!linked.contains(key) && lacksTar(layout, key)) return;
      check(layout, key);
    } catch (const Error& error) {
      drop(layout, key);
      dropped.push_back(fmt::format("{}: {}", layout.erofsFile(key).string(), error.what()));
    }
  });
  return dropped;
}

void dropMetadataOver(const StoreReader& reader, const std::vector<schema::ImageId>& images) {
  for (const auto& id : reader.ids()) {
    try {
      const auto mountable = reader.mountable(id);
      if (!mountable) continue;
      const auto& devices = mountable->devices;
      const bool gone = std::any_of(devices.begin(), devices.end(), [&](const auto& device) {
        return std::find(images.begin(), images.end(), device.image) != images.end();
      });
      if (gone) drop(reader.layout(), mountable->tree.filename().string());
    } catch (const Error& error) {
      log::warn("{}; 'actool image fsck' removes it", error.what());
    }
  }
}

void verifyMetadata(const StoreLayout& layout, const schema::ImageId& id) {
  const auto mountable = StoreReader(layout).mountable(id);
  if (!mountable) return;
  StoreResolver resolver(layout);
  std::vector<RenderLayer> layers;
  try {
    layers = planRender(id, resolver);
  } catch (const NotFoundError&) {
    return;
  }
  if (mountable->tree.filename() != treeKey(layers)) return;
  const TempDir made(tempRoot(), "actool-verify.");  // the store may be on a read-only disk
  writeErofsOf(layers, made.path());
  const UniqueFd fresh = openFile((made.path() / "erofs").string(), O_RDONLY);
  const UniqueFd stored = openFile(mountable->metadata.string(), O_RDONLY);
  if (readFile(made.path() / "devices", kMaxDevicesBytes) != formatDevices(mountable->devices) ||
      !sameContent(fresh.get(), stored.get())) {
    throw TrustError(mountable->metadata.string() + " is not what its tars make",
                     "remove that file, it is made again");
  }
}

void verifyRendered(const StoreLayout& layout, const schema::ImageId& id) {
  const StoreReader reader(layout);
  const auto root = reader.renderedRoot(id);
  if (!root) return;
  const std::string key = root->parent_path().filename().string();
  // Before it is read: a change meanwhile makes the stamp worthless, not false.
  const FileLook look = lookOfTree(*root);
  StoreResolver resolver(layout);
  std::vector<RenderLayer> layers;
  try {
    layers = planRender(id, resolver);
  } catch (const NotFoundError&) {
  }
  // As with metadata: of other layers by now, it can only be taken as it is.
  if (!layers.empty() && key == treeKey(layers)) {
    for (const auto& layer : layers) {
      if (!isTarStamped(layout, layer.id)) verifyTar(layout, layer.id);
    }
    checkRendered(layers, *root);
  }
  stampRendered(layout, key, look);
}

}  // namespace actool::cas
