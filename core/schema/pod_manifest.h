// The pod manifest (spec/pods.md, Pod Manifest Schema).
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
#include "core/schema/isolator.h"
#include "core/schema/labels.h"
#include "core/schema/semver.h"

namespace actool::schema {

// Pods have one app or a few, each with some kB.
inline constexpr std::size_t kMaxPodManifestBytes = 16 << 20;

struct Volume {
  enum class Kind { empty, host };
  AcName name;
  Kind kind = Kind::empty;
  std::string source = {};  // absolute; only for host
  std::optional<bool> readOnly = {};
  std::optional<bool> recursive = {};  // only for host; absent means true
  std::string mode = "0755";           // only for empty
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  Json extra = Json::object();

  static Volume fromJson(const Json& object);
  // rkt's --volume syntax: "NAME,kind=host,source=/srv/data,readOnly=true,recursive=false".
  static Volume parseOption(std::string_view text);
  Json toJson() const;
};

struct Mount {
  AcName volume;
  std::string path;  // absolute
  std::optional<Volume> appVolume = {};
  Json extra = Json::object();
};

struct RuntimeImage {
  ImageId id;
  std::optional<AcIdentifier> name = {};
  Labels labels = {};
  Json extra = Json::object();
};

struct RuntimeApp {
  AcName name;
  RuntimeImage image;
  std::optional<App> app = {};  // replaces the image's own
  bool readOnlyRootFs = false;
  std::vector<Mount> mounts = {};
  Annotations annotations = {};
  Json extra = Json::object();
};

struct ExposedPort {
  AcName name;
  std::uint16_t hostPort = 0;
  std::string hostIp = {};
  std::optional<Port> podPort = {};
  Json extra = Json::object();
};

class PodManifest {
 public:
  static PodManifest parse(std::string_view json, std::string_view what);
  static PodManifest fromJson(const Json& object);  // app and volume names are unique
  PodManifest();                                    // no apps, acVersion kSpecVersion
  Json toJson() const;

  SemVer acVersion;
  std::vector<RuntimeApp> apps;
  std::vector<Volume> volumes;
  Isolators isolators;
  Annotations annotations;
  std::vector<ExposedPort> ports;
  Json extra = Json::object();
};

}  // namespace actool::schema
