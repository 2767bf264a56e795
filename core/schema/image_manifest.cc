#include "core/schema/image_manifest.h"

#include <limits>

#include "core/base/error.h"
#include "core/schema/manifest_common.h"
#include "core/schema/members.h"

namespace actool::schema {
namespace {

constexpr std::string_view kImageManifestKind = "ImageManifest";

Dependency dependencyFromJson(const Json& value) {
  Members members(value);
  const std::string name = members.string("imageName");
  Dependency dependency{withContext("imageName", [&] { return AcIdentifier::parse(name); })};
  members.with("imageID",
               [&](const Json& id) { dependency.imageId = ImageId::parse(stringValue(id)); });
  members.with("labels", [&](const Json& list) { dependency.labels = Labels::fromJson(list); });
  dependency.size = members.uint("size", std::numeric_limits<std::int64_t>::max());
  dependency.extra = members.rest();
  return dependency;
}

Json dependencyToJson(const Dependency& dependency) {
  Json object = dependency.extra;
  object["imageName"] = dependency.imageName.str();
  if (dependency.imageId) object["imageID"] = dependency.imageId->str();
  if (!dependency.labels.empty()) object["labels"] = dependency.labels.toJson();
  if (dependency.size) object["size"] = *dependency.size;
  return object;
}

}  // namespace

ImageManifest ImageManifest::parse(std::string_view json, std::string_view what) {
  const Json object = parseJson(json, what, JsonLimits{.bytes = kMaxManifestBytes});
  return withContext(what, [&] { return fromJson(object); });
}

ImageManifest ImageManifest::fromJson(const Json& object) {
  Members members(object);
  checkKind(members, kImageManifestKind);
  SemVer version = specVersion(members);
  const std::string name = members.string("name");
  ImageManifest manifest(std::move(version),
                         withContext("name", [&] { return AcIdentifier::parse(name); }));
  members.with("labels", [&](const Json& list) { manifest.labels = Labels::fromJson(list); });
  members.with("app", [&](const Json& value) { manifest.app = App::fromJson(value); });
  manifest.dependencies = members.list<Dependency>("dependencies", dependencyFromJson);
  manifest.pathWhitelist = members.list<std::string>(
      "pathWhitelist", [](const Json& path) { return absolutePath(stringValue(path)); });
  members.with("annotations",
               [&](const Json& list) { manifest.annotations = Annotations::fromJson(list); });
  manifest.extra = members.rest();
  return manifest;
}

Json ImageManifest::toJson() const {
  Json object = extra;
  object["acKind"] = kImageManifestKind;
  object["acVersion"] = acVersion.str();
  object["name"] = name.str();
  if (!labels.empty()) object["labels"] = labels.toJson();
  if (app) object["app"] = app->toJson();
  if (!dependencies.empty()) {
    Json list = Json::array();
    for (const Dependency& dependency : dependencies) {
      list.push_back(dependencyToJson(dependency));
    }
    object["dependencies"] = std::move(list);
  }
  if (!pathWhitelist.empty()) object["pathWhitelist"] = pathWhitelist;
  if (!annotations.empty()) object["annotations"] = annotations.toJson();
  return object;
}

}  // namespace actool::schema
