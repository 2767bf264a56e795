#include "run/ondisk.h"

#include <algorithm>
#include <string>

#include "core/base/duration.h"
#include "core/base/error.h"
#include "core/base/json.h"

namespace actool::run {

std::chrono::seconds stampAge(const ConfigDirs& dirs) {
  std::chrono::seconds age = std::chrono::hours(30 * 24);
  forEachConfig(dirs, "ondisk.d", "ondisk", [&](const ConfigFile& file, const Json& content) {
    const std::string text = stringMemberOr(content, "max-age", "");
    if (text.empty()) return;
    age = std::chrono::duration_cast<std::chrono::seconds>(
        requireDuration(text, file.path.string() + ": max-age"));
  });
  return age;
}

std::vector<schema::ImageId> imagesToVerify(const cas::StoreLayout& layout,
                                            const schema::ImageId& id,
                                            const cas::MountableImage& image,
                                            const ErofsFiles& files, std::chrono::seconds maxAge) {
  const auto now = std::chrono::system_clock::now();
  std::vector<schema::ImageId> found;
  const auto stale = [&](const schema::ImageId& which) {
    if (std::find(found.begin(), found.end(), which) == found.end()) found.push_back(which);
  };
  const std::string key = image.tree.filename().string();
  const auto tree = cas::readStamps(layout.treeVerifiedFile(key));
  if (!cas::isStamped(tree, cas::kMetadataStamp,
                      cas::lookOf(files.metadata.get(), image.metadata.string()), now, maxAge) ||
      !cas::isStamped(tree, cas::kDevicesStamp, cas::lookOf(layout.devicesFile(key)), now,
                      maxAge)) {
    stale(id);
  }
  for (std::size_t i = 0; i < image.devices.size(); ++i) {
    const cas::MountableDevice& device = image.devices[i];
    const auto look = cas::lookOf(files.devices.at(i).get(), device.tar.string());
    if (!cas::isStamped(cas::readStamps(layout.verifiedFile(device.image)), cas::kTarStamp, look,
                        now, maxAge)) {
      stale(device.image);
    }
  }
  return found;
}

bool mustVerifyTree(const cas::StoreLayout& layout, std::string_view key, const cas::FileLook& look,
                    std::chrono::seconds maxAge) {
  return !cas::isStamped(cas::readStamps(layout.treeVerifiedFile(key)), cas::kTreeStamp, look,
                         std::chrono::system_clock::now(), maxAge);
}

void requireSameFiles(const cas::MountableImage& image, const ErofsFiles& files) {
  const auto require = [](const Path& path, const UniqueFd& fd) {
    if (cas::lookOf(path) != cas::lookOf(fd.get(), path.string())) {
      throw TrustError(path.string() + " was changed while it was checked", "try again");
    }
  };
  require(image.metadata, files.metadata);
  for (std::size_t i = 0; i < image.devices.size(); ++i)
    require(image.devices[i].tar, files.devices.at(i));
}

}  // namespace actool::run
