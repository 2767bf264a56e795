#include <fmt/format.h>

#include <algorithm>

#include "cas/care.h"
#include "cas/layout/lease.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/strings.h"
#include "core/schema/pod_manifest.h"

namespace actool::cas {

namespace {

constexpr std::size_t kMaxPodManifestBytes = 4 << 20;

// Calls `visit` with the UUID of each pod and an image it was made of; `failed` with the UUID and
// the reason when that can't be told.
template <typename Visit, typename Failed>
void forEachPodImage(const StoreLayout& layout, Visit&& visit, Failed&& failed) {
  for (const auto& phase : listDir(layout.podsDir())) {
    // What is done with needs nothing any more; only its directory is still there.
    if (phase == "garbage" || phase == "exited-garbage") continue;
    const Path phaseDir = layout.podsDir() / phase;
    if (!std::filesystem::is_directory(phaseDir)) continue;
    for (const auto& uuid : listDir(phaseDir)) {
      const Path file = phaseDir / uuid / "pod";
      try {
        const auto manifest = tryReadFile(file, kMaxPodManifestBytes);
        if (!manifest) continue;
        for (const auto& app : schema::PodManifest::parse(*manifest, file.string()).apps)
          visit(uuid, app.image.id);
      } catch (const Error& error) {
        failed(uuid, error);
      }
    }
  }
}

void addPods(const StoreLayout& layout, const schema::ImageId& id,
             std::vector<std::string>& users) {
  forEachPodImage(
      layout,
      [&](const std::string& uuid, const std::optional<schema::ImageId>& image) {
        const std::string user = "pod " + printable(uuid);
        if (image == id && (users.empty() || users.back() != user)) users.push_back(user);
      },
      [](const std::string& uuid, const Error& error) {
        log::warn("can't tell which images pod {} uses: {}", printable(uuid), error.what());
      });
}

}  // namespace

std::vector<schema::ImageId> imagesOfPods(const StoreLayout& layout) {
  std::vector<schema::ImageId> images;
  forEachPodImage(
      layout,
      [&](const std::string&, const std::optional<schema::ImageId>& image) {
        if (image) images.push_back(*image);
      },
      [](const std::string& uuid, const Error& error) {
        throw Error(
            fmt::format("can't tell which images pod {} uses: {}", printable(uuid), error.what()),
            "remove the pod first");
      });
  return images;
}

std::vector<std::string> usersOf(const StoreWriter& writer, const schema::ImageId& id) {
  std::vector<std::string> users;
  addPods(writer.layout(), id, users);
  for (const auto& lease : activeLeases(writer.layout(), systemClock().now())) {
    if (std::find(lease.images.begin(), lease.images.end(), id) != lease.images.end()) {
      users.push_back("lease " + lease.name);
    }
  }
  const auto image = writer.record(id);
  if (!image) return users;
  for (const auto& other : writer.catalog().dependentsOn(image->name, id)) {
    if (other == id) continue;
    const auto manifest = writer.reader().manifest(other);
    for (const auto& dependency : manifest.dependencies) {
      bool needs = dependency.imageId == id;
      if (!dependency.imageId) {
        const auto match =
            writer.catalog().match(schema::AppRef(dependency.imageName, dependency.labels));
        needs = match && match->id == id;
      }
      if (needs) {
        users.push_back(
            fmt::format("{} ({}), which depends on it", manifest.name.str(), other.shortForm()));
        break;
      }
    }
  }
  return users;
}

}  // namespace actool::cas
