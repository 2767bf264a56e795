#include "core/record/versions.h"

#include <fmt/format.h>

#include <limits>
#include <set>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "core/schema/members.h"

namespace actool::record {
namespace {

constexpr const char* kVersions = "versions";

Digest sha256Value(const Json& value) {
  Digest digest = Digest::parse(schema::stringValue(value));
  if (digest.algorithm() != DigestAlgorithm::sha256) throw Error("the digest is no sha256 one");
  return digest;
}

ListedImage listedImageFromJson(const Json& value) {
  schema::Members members(value);
  ListedImage image;
  const Json& labels = members.require("labels");
  image.labels = withContext("labels", [&] { return schema::Labels::fromObject(labels); });
  members.with("id",
               [&](const Json& id) { image.id = schema::ImageId::parse(schema::stringValue(id)); });
  members.with("digest", [&](const Json& digest) { image.digest = sha256Value(digest); });
  members.with("signature", [&](const Json& digest) { image.signature = sha256Value(digest); });
  constexpr std::uint64_t kMaxSize = std::numeric_limits<std::int64_t>::max();
  image.size = members.uint("size", kMaxSize).value_or(0);
  image.signedBy = members.stringOr("signedBy", {});
  if (!image.signedBy.empty() && !isLowerHex(image.signedBy)) {
    throw Error(fmt::format("signedBy: \"{}\" is no fingerprint", printable(image.signedBy)));
  }
  image.added = members.boolean("added").value_or(false);
  image.dependencies = members.list<schema::AppRef>("dependencies", [](const Json& ref) {
    return schema::AppRef::parse(schema::stringValue(ref));
  });
  return image;
}

// Labels as a key: their order says nothing.
std::string keyOf(const schema::Labels& labels) {
  return dumpLine(labels.toObject());
}

}  // namespace

Json Versions::toJson() const {
  Json list = Json::array();
  for (const ListedImage& image : images) {
    Json object = {{"labels", image.labels.toObject()}};
    if (image.id) object["id"] = image.id->str();
    if (image.digest) object["digest"] = image.digest->str();
    if (image.signature) object["signature"] = image.signature->str();
    if (image.size != 0) object["size"] = image.size;
    if (!image.signedBy.empty()) object["signedBy"] = image.signedBy;
    if (image.added) object["added"] = true;
    for (const schema::AppRef& ref : image.dependencies)
      object["dependencies"].push_back(ref.str());
    list.push_back(std::move(object));
  }
  return {{"kind", kVersions}, {"name", name.str()}, {"images", std::move(list)}};
}

Versions Versions::fromJson(const Json& object, const VersionsLimits& limits) {
  schema::Members members(object);
  const std::string kind = members.string("kind");
  if (kind != kVersions) {
    throw Error(fmt::format("it is of kind \"{}\", not \"{}\"", printable(kind), kVersions));
  }
  Versions versions{schema::AcIdentifier::parse(members.string("name")), {}};
  const Json& list = members.require("images");
  if (list.is_array() && list.size() > limits.images) {
    throw Error(
        fmt::format("it lists {} images, more than the limit of {}", list.size(), limits.images));
  }
  versions.images = members.list<ListedImage>("images", listedImageFromJson);
  std::set<std::string> seen;
  for (const ListedImage& image : versions.images) {
    const std::string key = keyOf(image.labels);
    if (!seen.insert(key).second)
      throw Error(fmt::format("images: the labels {} come twice", printable(key)));
  }
  return versions;
}

Versions Versions::parse(std::string_view text, std::string_view what,
                         const VersionsLimits& limits) {
  const Json object = parseJson(text, what, JsonLimits{.bytes = limits.bytes, .depth = 8});
  return withContext(what, [&] { return fromJson(object, limits); });
}

}  // namespace actool::record
