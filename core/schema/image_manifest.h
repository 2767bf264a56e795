// The image manifest (spec/aci.md, Image Manifest Schema).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/json.h"
#include "core/schema/app.h"
#include "core/schema/identifier.h"
#include "core/schema/image_id.h"
#include "core/schema/labels.h"
#include "core/schema/semver.h"

namespace actool::schema {

// A manifest is some kB in practice; a megabyte leaves room for long whitelists.
inline constexpr std::size_t kMaxManifestBytes = 1 << 20;

struct Dependency {
  AcIdentifier imageName;
  std::optional<ImageId> imageId = {};
  Labels labels = {};
  std::optional<std::uint64_t> size = {};  // of the image as distributed, bytes
  Json extra = Json::object();
};

class ImageManifest {
 public:
  // Throws Error with `what` ("manifest of web.aci") in front. acKind must be ImageManifest,
  // acVersion valid and of a major version we know.
  static ImageManifest parse(std::string_view json, std::string_view what);
  static ImageManifest fromJson(const Json& object);
  Json toJson() const;

  SemVer acVersion;
  AcIdentifier name;
  Labels labels;
  std::optional<App> app;
  std::vector<Dependency> dependencies;
  std::vector<std::string> pathWhitelist;  // absolute paths; empty: everything
  Annotations annotations;
  Json extra = Json::object();

 private:
  ImageManifest(SemVer version, AcIdentifier imageName)
      : acVersion(std::move(version)), name(std::move(imageName)) {}
};

}  // namespace actool::schema
