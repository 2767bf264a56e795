#include <fmt/format.h>

#include "cas/care.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/strings.h"
#include "core/schema/pod_manifest.h"

namespace actool::cas {

namespace {

constexpr std::size_t kMaxPodManifestBytes = 4 << 20;

bool podUses(const std::string& manifest, const Path& file, const schema::ImageId& id) {
  const auto pod = schema::PodManifest::parse(manifest, file.string());
  for (const auto& app : pod.apps) {
    if (app.image.id == id) return true;
  }
  return false;
}

void addPods(const StoreLayout& layout, const schema::ImageId& id,
             std::vector<std::string>& users) {
  for (const auto& phase : listDir(layout.podsDir())) {
    // What is done with needs nothing any more; only its directory is still there.
    if (phase == "garbage" || phase == "exited-garbage") continue;
    const Path phaseDir = layout.podsDir() / phase;
    if (!std::filesystem::is_directory(phaseDir)) continue;
    for (const auto& uuid : listDir(phaseDir)) {
      const Path file = phaseDir / uuid / "pod";
      try {
        const auto manifest = tryReadFile(file, kMaxPodManifestBytes);
        if (manifest && podUses(*manifest, file, id)) users.push_back("pod " + printable(uuid));
      } catch (const Error& error) {
        log::warn("can't tell which images pod {} uses: {}", printable(uuid), error.what());
      }
    }
  }
}

}  // namespace

std::vector<std::string> usersOf(const StoreWriter& writer, const schema::ImageId& id) {
  std::vector<std::string> users;
  addPods(writer.layout(), id, users);
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
