#include "run/stage1_select.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iterator>

#include "core/base/config_file.h"
#include "core/base/error.h"
#include "core/base/json.h"
#include "core/base/strings.h"
#include "core/cli/find_tool.h"

namespace actool::run {
namespace {

constexpr std::string_view kDefaultStage1 = "native";
constexpr std::string_view kFileScheme = "file://";

// The stage1s that came with this program.
Path besideBinary() {
  Path directory = "stage1";
  for (const std::string& place : cli::ownPlaces()) {
    directory = Path(place) / "stage1";
    if (actool::exists(directory)) break;
  }
  return directory;
}

Path stage1Directory(const cli::Globals& globals) {
  std::string configured;
  forEachConfig(globals.configDirs(), "paths.d", "paths", [&](const ConfigFile&, const Json& file) {
    configured = stringMemberOr(file, "stage1-images", configured);
  });
  return configured.empty() ? besideBinary() : Path(configured);
}

Stage1 fromDirectory(const Path& directory) {
  const Path absolute = std::filesystem::absolute(directory).lexically_normal();
  Stage1 stage1{readFile(absolute / "manifest", schema::kMaxManifestBytes), absolute / "rootfs"};
  if (!std::filesystem::is_directory(stage1.rootfs)) {
    throw NotFoundError(stage1.rootfs.string() + " is not a directory");
  }
  return stage1;
}

// The names that --stage1-name has for what is installed beside the binary. None has a slash or a
// dot, as the names of published images do.
bool isBuiltIn(const std::string& name) {
  constexpr std::string_view kBuiltIn[] = {"native", "fly", "oci", "nspawn", "vm"};
  return std::find(std::begin(kBuiltIn), std::end(kBuiltIn), name) != std::end(kBuiltIn);
}

Stage1 fromImage(Images& images, const schema::ImageId& id) {
  return {images.store().manifestBytes(id), images.renderedRoot(id)};
}

Stage1 fromPath(Images& images, const Path& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) return fromDirectory(path);
  if (!actool::exists(path)) throw NotFoundError(path.string() + " does not exist");
  return fromImage(images, images.fetch(std::filesystem::absolute(path).string()));
}

Stage1 fromConfig(const Stage1Config& config, Images& images) {
  if (!config.name.empty()) {
    if (const auto id = images.resolve(config.name + ":" + config.version)) {
      return fromImage(images, *id);
    }
  }
  if (config.location.empty()) {
    throw NotFoundError(fmt::format("{}:{} of the configuration is not in the store",
                                    printable(config.name), printable(config.version)),
                        "give its location in stage1.d, or fetch it first");
  }
  if (config.location.starts_with(kFileScheme)) {
    return fromPath(images, config.location.substr(kFileScheme.size()));
  }
  if (config.location.starts_with('/')) return fromPath(images, config.location);
  return fromImage(images, images.fetch(config.location));
}

Stage1 select(const Stage1Request& request, Images& images, const cli::Globals& globals) {
  using Kind = Stage1Request::Kind;
  switch (request.kind) {
    case Kind::path:
      return fromPath(images, request.location);
    case Kind::fromDir:
      return fromPath(images, stage1Directory(globals) / request.location);
    case Kind::name:
      if (isBuiltIn(request.location)) return fromDirectory(besideBinary() / request.location);
      return fromImage(images, images.find(request.location));
    case Kind::hash: {
      const auto prefix = schema::ImageIdPrefix::tryParse(request.location);
      if (!prefix) throw UsageError(printable(request.location) + " is not an image ID");
      return fromImage(images, images.store().resolve(*prefix));
    }
    case Kind::url:
      return fromImage(images, images.fetch(request.location));
    case Kind::standard:
      break;
  }
  const Stage1Config config = readStage1Config(globals.configDirs());
  if (!config.name.empty() || !config.location.empty()) return fromConfig(config, images);
  return fromDirectory(besideBinary() / kDefaultStage1);
}

}  // namespace

Stage1Config readStage1Config(const ConfigDirs& dirs) {
  Stage1Config config;
  forEachConfig(dirs, "stage1.d", "stage1", [&](const ConfigFile&, const Json& content) {
    const std::string name = stringMemberOr(content, "name", "");
    const std::string version = stringMemberOr(content, "version", "");
    if (name.empty() != version.empty()) {
      throw UsageError("name and version stand together or not at all");
    }
    if (!name.empty()) {
      config.name = name;
      config.version = version;
    }
    config.location = stringMemberOr(content, "location", config.location);
  });
  return config;
}

Stage1 selectStage1(const Stage1Request& request, Images& images, const cli::Globals& globals) {
  return withContext("choosing the stage1", [&] {
    Stage1 stage1 = select(request, images, globals);
    // What is wrong with it is refused here rather than after the pod was made.
    const Stage1Manifest manifest =
        Stage1Manifest::parse(stage1.manifest, "manifest of the stage1");
    stage1.version = manifest.interfaceVersion();
    stage1.readOnly = manifest.rootIsReadOnly();
    stage1.runEntry = resolveEntryPoint(stage1.rootfs, manifest.entryPoint(kStage1Run).value());
    return stage1;
  });
}

}  // namespace actool::run
