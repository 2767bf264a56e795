#include "fetch/request.h"

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/overloaded.h"
#include "core/base/strings.h"

namespace actool::fetch {
namespace {

[[noreturn]] void refuseTransport(std::string_view argument, std::string_view kind) {
  throw UsageError(
      fmt::format("\"{}\": actool-fetch has no transport for {}", printable(argument), kind),
      "it fetches names, http(s):// URLs, torrents, magnet links and local ACI files");
}

constexpr std::string_view kTorrentSuffix = ".torrent";

// Before query and fragment.
std::string withSuffix(const std::string& url, std::string_view suffix) {
  const std::size_t end = std::min(url.find_first_of("?#"), url.size());
  return url.substr(0, end) + std::string(suffix) + url.substr(end);
}

}  // namespace

std::string Request::label() const {
  return std::visit(Overloaded{
                        [](const ByName& by) { return by.ref.str(); },
                        [](const schema::ImageIdPrefix& id) { return id.str(); },
                        [](const record::FileArg& file) { return printable(file.path.string()); },
                        [](const record::UrlArg& url) { return printable(url.url); },
                        [](const ByTorrent& torrent) { return printable(torrent.place); },
                        [](const record::Image& image) {
                          return image.requested ? image.requested->str() : image.id.shortForm();
                        },
                    },
                    what);
}

std::string Request::key() const {
  const std::string main =
      std::visit(Overloaded{
                     [](const ByName& by) { return "name " + by.ref.str(); },
                     [](const schema::ImageIdPrefix& id) { return "id " + id.str(); },
                     [](const record::FileArg& file) { return "file " + file.path.string(); },
                     [](const record::UrlArg& url) { return "url " + url.url; },
                     [](const ByTorrent& torrent) { return "torrent " + torrent.place; },
                     [](const record::Image& image) {
                       return "image " + image.id.str() +
                              (image.requested ? " " + image.requested->str() : std::string());
                     },
                 },
                 what);
  return main + (imageId ? " " + imageId->str() : std::string());
}

Request requestFor(const record::ImageArg& argument) {
  return std::visit(Overloaded{
                        [](const schema::AppRef& ref) {
                          return Request{ByName{ref, std::nullopt}, {}, {}, {}};
                        },
                        [](const schema::ImageIdPrefix& id) {
                          return Request{id, {}, {}, {}};
                        },
                        [](const record::FileArg& file) {
                          if (file.path.extension() == ".torrent")
                            return Request{ByTorrent{file.path.string()}, {}, {}, {}};
                          return Request{file, {}, {}, {}};
                        },
                        [](const record::UrlArg& url) {
                          if (url.url.ends_with(".torrent"))
                            return Request{ByTorrent{url.url}, {}, {}, {}};
                          return Request{url, {}, {}, {}};
                        },
                        [](const record::TorrentArg& torrent) {
                          return Request{ByTorrent{torrent.uri}, {}, {}, {}};
                        },
                        [](const record::RegistryArg& registry) -> Request {
                          refuseTransport(registry.reference, "registries");
                        },
                    },
                    argument);
}

Request requestFor(const record::Record& record) {
  return std::visit(Overloaded{
                        [](const record::Discovered& found) {
                          return Request{ByName{found.requested, found}, {}, {}, {}};
                        },
                        [](const record::Image& image) {
                          return Request{image, {}, {}, {}};
                        },
                        [](const record::ImageArg& argument) { return requestFor(argument); },
                    },
                    record);
}

Request requestFor(const schema::Dependency& dependency) {
  const schema::AppRef ref(dependency.imageName, dependency.labels);
  return Request{ByName{ref, std::nullopt}, {}, dependency.imageId, dependency.size};
}

bool isWebUrl(std::string_view text) {
  return text.starts_with("https://") || text.starts_with("http://");
}

std::vector<record::Endpoint> usableEndpoints(const record::Discovered& discovered) {
  if (discovered.endpoints.empty()) {
    throw NotFoundError(fmt::format("nothing was discovered for {}", discovered.requested.str()),
                        "its page has no ac-discovery tag that matches");
  }
  std::vector<record::Endpoint> usable;
  for (const record::Endpoint& endpoint : discovered.endpoints) {
    const bool web = isWebUrl(endpoint.aci);
    if (!web && !torrentUrlOf(endpoint.aci)) continue;
    usable.push_back(endpoint);
    if (web && endpoint.asc.empty()) usable.back().asc = signatureUrl(endpoint.aci);
  }
  if (usable.empty()) refuseTransport(discovered.endpoints.front().aci, "this kind of URL");
  return usable;
}

std::string signatureUrl(const std::string& imageUrl) {
  return withSuffix(imageUrl, ".asc");
}

std::string torrentUrlBeside(const std::string& imageUrl) {
  return withSuffix(imageUrl, kTorrentSuffix);
}

std::optional<std::string> torrentUrlOf(std::string_view endpoint) {
  constexpr std::string_view kWord = "torrent+";
  if (!endpoint.starts_with(kWord) || !isWebUrl(endpoint.substr(kWord.size()))) {
    return std::nullopt;
  }
  endpoint.remove_prefix(kWord.size());
  const std::string url(endpoint.substr(0, endpoint.find('#')));
  const std::string_view path = std::string_view(url).substr(0, url.find('?'));
  return path.ends_with(kTorrentSuffix) ? url : torrentUrlBeside(url);
}

}  // namespace actool::fetch
