#include "p2p/mirror/site_config.h"

#include <fmt/format.h>

#include <set>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "core/schema/labels.h"
#include "core/schema/members.h"

namespace actool::mirror {
namespace {

constexpr std::size_t kMaxConfigBytes = std::size_t{4} << 20;  // ten thousand names
constexpr std::uint64_t kMaxKeep = 1000000;

Platform platformOf(const Json& value) {
  const std::string text = schema::stringValue(value);
  const std::size_t slash = text.find('/');
  const Platform platform{text.substr(0, slash),
                          slash == std::string::npos ? std::string() : text.substr(slash + 1)};
  // The pairs that there are.
  static_cast<void>(schema::Labels::make({{schema::AcIdentifier::parse("os"), platform.os},
                                          {schema::AcIdentifier::parse("arch"), platform.arch}}));
  return platform;
}

std::string versionOf(const Json& value) {
  std::string text = schema::stringValue(value);
  if (text.empty()) throw Error("an empty version");
  return text;
}

FollowedName followedOf(const Json& value) {
  schema::Members members(value);
  FollowedName followed{schema::AcIdentifier::parse(members.string("name")),
                        members.list<std::string>("versions", versionOf),
                        members.list<Platform>("platforms", platformOf)};
  return withContext(followed.name.str(), [&] {
    if (followed.versions.empty()) followed.versions.emplace_back(kLatest);
    followed.keep = members.uint("keep", kMaxKeep).value_or(0);
    followed.dependencies = members.boolean("dependencies").value_or(true);
    members.refuseRest();
    return followed;
  });
}

}  // namespace

std::string checkedSiteUrl(std::string_view text) {
  std::string url(text);
  while (url.ends_with('/'))
    url.pop_back();
  const std::size_t host = url.find("://") + 3;
  const bool web = url.starts_with("https://") || url.starts_with("http://");
  const bool plain = url.find_first_of("?#\"<>{}@ \\") == std::string::npos;
  if (!web || !plain || host >= url.size() || url[host] == '/') {
    throw UsageError(fmt::format("\"{}\" is no URL of a web site", printable(text)),
                     "write it as https://mirror.example.com");
  }
  return url;
}

SiteConfig SiteConfig::parse(std::string_view text, std::string_view what) {
  const Json object = parseJson(text, what, {.bytes = kMaxConfigBytes});
  return withContext(what, [&] {
    schema::Members members(object);
    if (members.string("rktKind") != "mirror" || members.string("rktVersion") != "v1") {
      throw UsageError("it is no mirror's configuration",
                       "its rktKind is \"mirror\" and its rktVersion \"v1\"");
    }
    SiteConfig config;
    const std::string url = members.string("url");
    config.url = withContext("url", [&] { return checkedSiteUrl(url); });
    config.torrents = members.boolean("torrents").value_or(false);
    config.trackers = members.list<std::string>("trackers", schema::stringValue);
    config.names = members.list<FollowedName>("names", followedOf);
    members.refuseRest();
    std::set<schema::AcIdentifier> seen;
    for (const FollowedName& followed : config.names) {
      if (!seen.insert(followed.name).second)
        throw UsageError(fmt::format("names: {} stands there twice", followed.name.str()));
    }
    return config;
  });
}

Json SiteConfig::toJson() const {
  Json list = Json::array();
  for (const FollowedName& followed : names) {
    Json object = {{"name", followed.name.str()}, {"versions", followed.versions}};
    for (const Platform& platform : followed.platforms)
      object["platforms"].push_back(fmt::format("{}/{}", platform.os, platform.arch));
    if (followed.keep != 0) object["keep"] = followed.keep;
    if (!followed.dependencies) object["dependencies"] = false;
    list.push_back(std::move(object));
  }
  Json object = {{"rktKind", "mirror"}, {"rktVersion", "v1"}, {"url", url}, {"names", list}};
  if (torrents) object["torrents"] = true;
  if (!trackers.empty()) object["trackers"] = trackers;
  return object;
}

}  // namespace actool::mirror
