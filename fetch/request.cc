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
      "it fetches names, http(s):// URLs and local ACI files");
}

}  // namespace

std::string Request::label() const {
  return std::visit(Overloaded{
                        [](const ByName& by) { return by.ref.str(); },
                        [](const schema::ImageIdPrefix& id) { return id.str(); },
                        [](const record::FileArg& file) { return printable(file.path.string()); },
                        [](const record::UrlArg& url) { return printable(url.url); },
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
                            refuseTransport(file.path.string(), "torrents");
                          return Request{file, {}, {}, {}};
                        },
                        [](const record::UrlArg& url) {
                          if (url.url.ends_with(".torrent")) refuseTransport(url.url, "torrents");
                          return Request{url, {}, {}, {}};
                        },
                        [](const record::TorrentArg& torrent) -> Request {
                          refuseTransport(torrent.uri, "torrents");
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
    if (!isWebUrl(endpoint.aci)) continue;
    usable.push_back(endpoint);
    if (endpoint.asc.empty()) usable.back().asc = signatureUrl(endpoint.aci);
  }
  if (usable.empty()) refuseTransport(discovered.endpoints.front().aci, "this kind of URL");
  return usable;
}

std::string signatureUrl(const std::string& imageUrl) {
  const std::size_t end = std::min(imageUrl.find_first_of("?#"), imageUrl.size());
  return imageUrl.substr(0, end) + ".asc" + imageUrl.substr(end);
}

}  // namespace actool::fetch
