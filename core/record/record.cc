#include "core/record/record.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/base/strings.h"
#include "core/schema/members.h"
#include "core/schema/timestamp.h"

namespace actool::record {
namespace {

using schema::Members;

constexpr const char* kDiscovered = "discovered";
constexpr const char* kImage = "image";

std::string urlValue(const Json& value) {
  std::string url = schema::stringValue(value);
  const bool plain =
      std::all_of(url.begin(), url.end(), [](unsigned char c) { return c > 0x20 && c != 0x7f; });
  if (url.empty() || !plain) throw Error(fmt::format("\"{}\" is no URL", printable(url)));
  return url;
}

Endpoint endpointFromJson(const Json& value) {
  Members members(value);
  Endpoint endpoint;
  const Json& aci = members.require("aci");
  endpoint.aci = withContext("aci", [&] { return urlValue(aci); });
  members.with("asc", [&](const Json& asc) { endpoint.asc = urlValue(asc); });
  members.with("mirror", [&](const Json& mirror) { endpoint.mirror = urlValue(mirror); });
  return endpoint;
}

std::string timeMember(Members& members, std::string_view key) {
  std::string text = members.stringOr(key, {});
  if (!text.empty()) withContext(key, [&] { schema::Timestamp::parse(text); });
  return text;
}

void checkKind(Members& members, std::string_view kind) {
  const std::string found = members.string("kind");
  if (found != kind) {
    throw UsageError(
        fmt::format("the record is of kind \"{}\", not \"{}\"", printable(found), kind));
  }
}

}  // namespace

Json Discovered::toJson() const {
  Json list = Json::array();
  for (const Endpoint& endpoint : endpoints) {
    Json object = {{"aci", endpoint.aci}};
    if (!endpoint.asc.empty()) object["asc"] = endpoint.asc;
    if (!endpoint.mirror.empty()) object["mirror"] = endpoint.mirror;
    list.push_back(std::move(object));
  }
  Json object = {{"kind", kDiscovered},
                 {"requested", requested.str()},
                 {"endpoints", std::move(list)},
                 {"keys", keys}};
  if (askOrigin) object["askOrigin"] = true;
  return object;
}

Discovered Discovered::fromJson(const Json& object) {
  Members members(object);
  checkKind(members, kDiscovered);
  const std::string requested = members.string("requested");
  return {withContext("requested", [&] { return schema::AppRef::parse(requested); }),
          members.list<Endpoint>("endpoints", endpointFromJson),
          members.list<std::string>("keys", urlValue),
          members.boolean("askOrigin").value_or(false)};
}

Json Image::toJson() const {
  Json object = {{"kind", kImage},     {"id", id.str()},
                 {"name", name.str()}, {"labels", labels.toObject()},
                 {"tarSize", tarSize}, {"distributedSize", distributedSize},
                 {"sources", sources}};
  if (requested) object["requested"] = requested->str();
  if (!imported.empty()) object["imported"] = imported;
  if (!lastUsed.empty()) object["lastUsed"] = lastUsed;
  if (!signedBy.empty()) object["signedBy"] = signedBy;
  return object;
}

Image Image::fromJson(const Json& object) {
  constexpr std::uint64_t kMaxSize = std::numeric_limits<std::int64_t>::max();
  Members members(object);
  checkKind(members, kImage);
  Image image{schema::ImageId::parse(members.string("id")),
              schema::AcIdentifier::parse(members.string("name")),
              {},
              {},
              members.uint("tarSize", kMaxSize).value_or(0),
              members.uint("distributedSize", kMaxSize).value_or(0),
              timeMember(members, "imported"),
              timeMember(members, "lastUsed"),
              members.stringOr("signedBy", {}),
              members.list<std::string>("sources", schema::stringValue)};
  members.with("labels", [&](const Json& v) { image.labels = schema::Labels::fromObject(v); });
  members.with("requested", [&](const Json& v) {
    image.requested = schema::AppRef::parse(schema::stringValue(v));
  });
  if (!image.signedBy.empty() && !isLowerHex(image.signedBy)) {
    throw Error(fmt::format("signedBy: \"{}\" is no fingerprint", printable(image.signedBy)));
  }
  return image;
}

void Image::checkMatches() const {
  if (!requested) return;
  if (requested->name() != name) {
    throw TrustError(
        fmt::format("{} was asked for, the image is called {}", requested->str(), name.str()));
  }
  const auto wanted = requested->labels().firstMismatch(labels);
  if (!wanted) return;
  const auto found = labels.get(wanted->name.str());
  throw TrustError(fmt::format("{} was asked for, the image has {}", requested->str(),
                               found
                                   ? fmt::format("{}=\"{}\"", wanted->name.str(), printable(*found))
                                   : fmt::format("no label {}", wanted->name.str())));
}

Record parseLine(std::string_view line) {
  const std::string_view text = trim(line);
  if (!text.starts_with('{')) return parseImageArg(text);
  const Json object = parseJson(text, "record", JsonLimits{.bytes = kMaxLineBytes});
  return withContext("record", [&]() -> Record {
    const std::string kind = stringMember(object, "kind");
    if (kind == kDiscovered) return Discovered::fromJson(object);
    if (kind == kImage) return Image::fromJson(object);
    throw UsageError(fmt::format("the kind \"{}\" is unknown", printable(kind)),
                     "known are discovered and image");
  });
}

void forEachRecord(int fd, const std::function<void(Record)>& visit) {
  std::uint64_t number = 0;
  forEachLine(fd, kMaxLineBytes, "standard input", [&](std::string_view line) {
    ++number;
    if (trim(line).empty()) return;
    // Only reading the line gets the context: what the visitor does has its own.
    visit(withContext(fmt::format("standard input, line {}", number),
                      [&] { return parseLine(line); }));
  });
}

}  // namespace actool::record
