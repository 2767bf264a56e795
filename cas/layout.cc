#include "cas/layout.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/base/strings.h"

namespace actool::cas {

namespace {

constexpr std::size_t kMaxVersionBytes = 64;
constexpr std::string_view kVersionBeginning = "actool-store ";
// A line takes some 150 bytes; rendering stops at 1024 layers.
constexpr std::size_t kMaxDevicesBytes = 1 << 20;

}  // namespace

Path StoreLayout::blob(const Digest& digest) const {
  return dir_ / "blobs" / std::string(name(digest.algorithm())) / digest.hex().substr(0, 2) /
         digest.hex();
}

Path StoreLayout::imageDir(const schema::ImageId& id) const {
  return imagesDir() / std::string(id.hex().substr(0, 2)) / id.str();
}

std::string StoreLayout::describe() const {
  const std::string store = "the store " + dir_.string();
  return ns_.isDefault() ? store : fmt::format("namespace {} of {}", ns_.str(), store);
}

Path StoreLayout::treeLinkTarget(std::string_view key) const {
  Path up = "../../..";
  if (!ns_.isDefault()) up = Path("../..") / up;
  return up / "trees" / std::string(key);
}

std::vector<NamespaceName> namespacesOf(const StoreLayout& layout) {
  std::vector<NamespaceName> names{NamespaceName()};
  for (const auto& entry : listDir(layout.namespacesDir())) {
    auto name = NamespaceName::tryParse(entry);
    if (name && !name->isDefault()) names.push_back(std::move(*name));
  }
  return names;
}

std::vector<MountableDevice> parseDevices(const StoreLayout& layout, std::string_view text,
                                          std::string_view what) {
  std::vector<MountableDevice> devices;
  if (text.empty() || !text.ends_with('\n')) {
    throw Error(fmt::format("{}: its last line is cut", what), "remove it and render again");
  }
  text.remove_suffix(1);
  for (const std::string_view line : split(text, '\n')) {
    const std::size_t space = std::min(line.find(' '), line.size());
    auto image = schema::ImageId::tryParse(line.substr(0, space));
    const auto size = parseUint(line.substr(std::min(space + 1, line.size())));
    if (!image || !size) {
      throw Error(fmt::format("{}: '{}' is not an image ID and a size", what, printable(line)),
                  "remove it and render again");
    }
    Path tar = layout.tarBlob(*image);
    devices.push_back({std::move(*image), *size, std::move(tar)});
  }
  return devices;
}

std::string formatDevices(const std::vector<MountableDevice>& devices) {
  std::string text;
  for (const auto& device : devices)
    text += fmt::format("{} {}\n", device.image.str(), device.size);
  return text;
}

std::string formatVersion(int version) {
  return fmt::format("{}{}\n", kVersionBeginning, version);
}

int parseVersion(std::string_view text, std::string_view what) {
  for (int version = 1; version <= kStoreVersion; ++version) {
    if (text == formatVersion(version)) return version;
  }
  throw Error(fmt::format("{}: unknown store version '{}'", what, printable(trim(text))),
              "use the release of actool that made it, or another --dir");
}

StoreReader::StoreReader(StoreLayout layout) : layout_(std::move(layout)) {
  const auto text = tryReadFile(layout_.versionFile(), kMaxVersionBytes);
  if (text) version_ = parseVersion(*text, layout_.versionFile().string());
}

bool StoreReader::has(const schema::ImageId& id) const {
  return actool::exists(layout_.imageDir(id));
}

schema::ImageId StoreReader::resolve(const schema::ImageIdPrefix& prefix) const {
  if (prefix.isFull()) {
    const schema::ImageId id = schema::ImageId::parse(prefix.str());
    if (actool::exists(layout_.imageDir(id))) return id;
  }
  std::vector<schema::ImageId> found;
  for (const auto& entry : listDir(layout_.imagesDir() / std::string(prefix.hex().substr(0, 2)))) {
    auto id = schema::ImageId::tryParse(entry);
    if (id && prefix.matches(*id)) found.push_back(std::move(*id));
  }
  if (found.empty()) {
    throw NotFoundError(fmt::format("no image {} in {}", prefix.str(), layout_.describe()),
                        "see 'actool image list'");
  }
  if (found.size() > 1) {
    std::vector<std::string> names;
    names.reserve(found.size());
    for (const auto& id : found)
      names.push_back(id.str().substr(0, prefix.str().size() + 8));
    throw UsageError(fmt::format("{} begins the IDs of {} images: {}", prefix.str(), found.size(),
                                 join(names, ", ")),
                     "give more digits");
  }
  return found.front();
}

std::string StoreReader::manifestBytes(const schema::ImageId& id) const {
  auto bytes = tryReadFile(layout_.manifestFile(id), schema::kMaxManifestBytes);
  if (!bytes) {
    throw NotFoundError(fmt::format("no image {} in {}", id.shortForm(), layout_.describe()),
                        "see 'actool image list'");
  }
  return std::move(*bytes);
}

schema::ImageManifest StoreReader::manifest(const schema::ImageId& id) const {
  return schema::ImageManifest::parse(manifestBytes(id), "manifest of " + id.shortForm());
}

std::optional<std::string> StoreReader::linkedTree(const schema::ImageId& id) const {
  std::error_code error;
  const Path target = std::filesystem::read_symlink(layout_.treeLink(id), error);
  if (error) {
    if (error.value() == ENOENT) return std::nullopt;
    throw SystemError(error.value(), "reading " + layout_.treeLink(id).string());
  }
  // Only the last component is taken: whatever the link says, it stays below trees/.
  return target.filename().string();
}

std::optional<Path> StoreReader::renderedRoot(const schema::ImageId& id) const {
  const auto key = linkedTree(id);
  if (!key || !actool::exists(layout_.treeRoot(*key))) return std::nullopt;
  return layout_.treeRoot(*key);
}

std::optional<MountableImage> StoreReader::mountable(const schema::ImageId& id) const {
  const auto key = linkedTree(id);
  if (!key || !actool::exists(layout_.erofsFile(*key))) return std::nullopt;
  const Path file = layout_.devicesFile(*key);
  const auto text = tryReadFile(file, kMaxDevicesBytes);
  if (!text) return std::nullopt;
  return MountableImage{.tree = layout_.treeDir(*key),
                        .metadata = layout_.erofsFile(*key),
                        .devices = parseDevices(layout_, *text, file.string())};
}

std::vector<schema::ImageId> StoreReader::ids() const {
  std::vector<schema::ImageId> ids;
  for (const auto& shard : listDir(layout_.imagesDir())) {
    for (const auto& entry : listDir(layout_.imagesDir() / shard)) {
      if (auto id = schema::ImageId::tryParse(entry)) ids.push_back(std::move(*id));
    }
  }
  return ids;
}

void StoreReader::noteUse(const schema::ImageId& id) const noexcept {
  const UniqueFd fd(::open(layout_.usedFile(id).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  if (fd) ::futimens(fd.get(), nullptr);
}

std::optional<std::chrono::system_clock::time_point> StoreReader::lastUsed(
    const schema::ImageId& id) const {
  struct stat info {};
  if (::stat(layout_.usedFile(id).c_str(), &info) != 0) {
    if (errno == ENOENT) return std::nullopt;
    throwErrno("looking at " + layout_.usedFile(id).string());
  }
  return std::chrono::system_clock::from_time_t(info.st_mtime);
}

}  // namespace actool::cas
