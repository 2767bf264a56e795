// One image to bring into the store, however it was named.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/record/record.h"
#include "core/schema/image_manifest.h"

namespace actool::fetch {

// By name: discovery finds the endpoints unless a record brought them along.
struct ByName {
  schema::AppRef ref;
  std::optional<record::Discovered> discovered;
};

// By a swarm: a magnet link, or a torrent as a file or at a URL.
struct ByTorrent {
  std::string place;
};

// What is named, and what else must hold of it.
struct Request {
  // A record::Image was fetched by somebody before us and only has to be in the store.
  using What = std::variant<ByName, schema::ImageIdPrefix, record::FileArg, record::UrlArg,
                            ByTorrent, record::Image>;

  What what;
  std::string signature;  // --signature: a path or URL; empty: the image's own place
  std::optional<schema::ImageId> imageId;  // a dependency's imageID
  std::optional<std::uint64_t> size;       // a dependency's size, bytes as distributed

  // For people: "example.com/web:1.0.0", "sha512-1234...", a path or URL.
  std::string label() const;
  // Equal for requests that ask for the same thing.
  std::string key() const;
};

// Throws UsageError for what this tool has no transport for (registries).
Request requestFor(const record::ImageArg& argument);
Request requestFor(const record::Record& record);
Request requestFor(const schema::Dependency& dependency);

// The endpoints this tool can fetch from (http, https and torrent+https), in their order, those on
// the web each with a signature URL. UsageError when a record has endpoints but none of them;
// NotFoundError when it has no endpoint at all.
std::vector<record::Endpoint> usableEndpoints(const record::Discovered& discovered);

// "https://h/web.aci?x=1" has its signature at "https://h/web.aci.asc?x=1".
std::string signatureUrl(const std::string& imageUrl);

// Where the torrent of the image at a URL would be: "https://h/web.aci.torrent".
std::string torrentUrlBeside(const std::string& imageUrl);
// Where the torrent of an endpoint "torrent+https://h/web.torrent" is: that URL without the word
// and without a fragment, with ".torrent" added where it does not end so. Nothing for other
// endpoints.
std::optional<std::string> torrentUrlOf(std::string_view endpoint);

bool isWebUrl(std::string_view text);  // begins with http:// or https://

}  // namespace actool::fetch
