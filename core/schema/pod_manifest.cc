#include "core/schema/pod_manifest.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "core/schema/manifest_common.h"
#include "core/schema/members.h"

namespace actool::schema {
namespace {

constexpr std::string_view kPodManifestKind = "PodManifest";

Mount mountFromJson(const Json& value) {
  Members members(value);
  Mount mount{AcName::parse(members.string("volume")), {}};
  const std::string path = members.string("path");
  mount.path = withContext("path", [&] { return absolutePath(path); });
  members.with("appVolume", [&](const Json& v) { mount.appVolume = Volume::fromJson(v); });
  mount.extra = members.rest();
  return mount;
}

Json mountToJson(const Mount& mount) {
  Json object = mount.extra;
  object["volume"] = mount.volume.str();
  object["path"] = mount.path;
  if (mount.appVolume) object["appVolume"] = mount.appVolume->toJson();
  return object;
}

RuntimeImage imageFromJson(const Json& value) {
  Members members(value);
  RuntimeImage image{ImageId::parse(members.string("id"))};
  members.with("name", [&](const Json& v) { image.name = AcIdentifier::parse(stringValue(v)); });
  members.with("labels", [&](const Json& list) { image.labels = Labels::fromJson(list); });
  image.extra = members.rest();
  return image;
}

Json imageToJson(const RuntimeImage& image) {
  Json object = image.extra;
  object["id"] = image.id.str();
  if (image.name) object["name"] = image.name->str();
  if (!image.labels.empty()) object["labels"] = image.labels.toJson();
  return object;
}

RuntimeApp appFromJson(const Json& value) {
  Members members(value);
  AcName name = AcName::parse(members.string("name"));
  const Json& image = members.require("image");
  RuntimeApp app{std::move(name), withContext("image", [&] { return imageFromJson(image); })};
  members.with("app", [&](const Json& v) { app.app = App::fromJson(v); });
  app.readOnlyRootFs = members.boolean("readOnlyRootFS").value_or(false);
  app.mounts = members.list<Mount>("mounts", mountFromJson);
  members.with("annotations",
               [&](const Json& list) { app.annotations = Annotations::fromJson(list); });
  app.extra = members.rest();
  return app;
}

Json appToJson(const RuntimeApp& app) {
  Json object = app.extra;
  object["name"] = app.name.str();
  object["image"] = imageToJson(app.image);
  if (app.app) object["app"] = app.app->toJson();
  if (app.readOnlyRootFs) object["readOnlyRootFS"] = true;
  if (!app.mounts.empty()) {
    Json list = Json::array();
    for (const Mount& mount : app.mounts) {
      list.push_back(mountToJson(mount));
    }
    object["mounts"] = std::move(list);
  }
  if (!app.annotations.empty()) object["annotations"] = app.annotations.toJson();
  return object;
}

ExposedPort portFromJson(const Json& value) {
  Members members(value);
  ExposedPort port{AcName::parse(members.string("name"))};
  members.require("hostPort");
  port.hostPort = static_cast<std::uint16_t>(members.uint("hostPort", kMaxPort).value_or(0));
  if (port.hostPort == 0) throw Error("hostPort: is 0, it should be 1 to 65535");
  port.hostIp = members.stringOr("hostIP", {});
  in_addr address{};
  if (!port.hostIp.empty() && inet_pton(AF_INET, port.hostIp.c_str(), &address) != 1) {
    throw Error(fmt::format("hostIP: \"{}\" is no IPv4 address", printable(port.hostIp)));
  }
  members.with("podPort", [&](const Json& v) { port.podPort = Port::fromJson(v); });
  port.extra = members.rest();
  return port;
}

Json portToJson(const ExposedPort& port) {
  Json object = port.extra;
  object["name"] = port.name.str();
  object["hostPort"] = port.hostPort;
  if (!port.hostIp.empty()) object["hostIP"] = port.hostIp;
  if (port.podPort) object["podPort"] = port.podPort->toJson();
  return object;
}

template <typename T>
void checkUniqueNames(const std::vector<T>& items, std::string_view what) {
  std::vector<std::string_view> names;
  names.reserve(items.size());
  for (const T& item : items) {
    names.push_back(item.name.str());
  }
  checkUnique(names, what);
}

template <typename T, typename Fn>
Json listOf(const std::vector<T>& items, Fn&& toJson) {
  Json list = Json::array();
  for (const T& item : items) {
    list.push_back(toJson(item));
  }
  return list;
}

}  // namespace

PodManifest::PodManifest() : acVersion(SemVer::parse(kSpecVersion)) {}

PodManifest PodManifest::parse(std::string_view json, std::string_view what) {
  const Json object = parseJson(json, what);
  return withContext(what, [&] { return fromJson(object); });
}

PodManifest PodManifest::fromJson(const Json& object) {
  Members members(object);
  checkKind(members, kPodManifestKind);
  PodManifest manifest;
  manifest.acVersion = specVersion(members);
  member(object, "apps");  // may be null, as rkt writes an empty list, but must be there
  manifest.apps = members.list<RuntimeApp>("apps", appFromJson);
  manifest.volumes = members.list<Volume>("volumes", Volume::fromJson);
  members.with("isolators",
               [&](const Json& list) { manifest.isolators = Isolators::fromJson(list); });
  members.with("annotations",
               [&](const Json& list) { manifest.annotations = Annotations::fromJson(list); });
  manifest.ports = members.list<ExposedPort>("ports", portFromJson);
  manifest.extra = members.rest();
  checkUserMaps(manifest.extra);
  checkUniqueNames(manifest.apps, "app");
  checkUniqueNames(manifest.volumes, "volume");
  checkUniqueNames(manifest.ports, "port");
  return manifest;
}

Json PodManifest::toJson() const {
  Json object = extra;
  object["acKind"] = kPodManifestKind;
  object["acVersion"] = acVersion.str();
  object["apps"] = listOf(apps, appToJson);
  if (!volumes.empty()) {
    object["volumes"] = listOf(volumes, [](const Volume& v) { return v.toJson(); });
  }
  if (!isolators.list().empty()) object["isolators"] = isolators.toJson();
  if (!annotations.empty()) object["annotations"] = annotations.toJson();
  if (!ports.empty()) object["ports"] = listOf(ports, portToJson);
  return object;
}

}  // namespace actool::schema
