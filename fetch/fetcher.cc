#include "fetch/fetcher.h"

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/overloaded.h"
#include "core/base/strings.h"
#include "core/cli/sibling_tool.h"
#include "core/schema/semver.h"
#include "fetch/signature.h"
#include "fetch/torrent_place.h"

namespace actool::fetch {
namespace {

// `image` as the answer to what was asked for here and now, which goes along so that the far end
// of a pipe can check it again; nothing when it was not by name.
record::Image answer(record::Image image, const std::optional<schema::AppRef>& requested) {
  image.requested = requested;
  image.checkMatches();
  return image;
}

std::optional<schema::AppRef> refOf(const Request& request) {
  if (const auto* by = std::get_if<ByName>(&request.what)) return by->ref;
  return std::nullopt;
}

// What an operator typed may be plain http; what a page announced may not.
HttpOptions forTypedUrl(HttpOptions options, std::string_view url) {
  options.allowHttp = options.allowHttp || url.starts_with("http://");
  return options;
}

// Which of two endpoints' failures says more: a missing signature, then the network, then 404.
int weight(ExitCode code) {
  switch (code) {
    case ExitCode::notTrusted:
      return 2;
    case ExitCode::network:
      return 1;
    default:
      return 0;
  }
}

// `now` came, or was confirmed, where `before` was the newest that the store had.
void warnIfOlder(const std::string& label, const record::Image& before, const record::Image& now) {
  const auto old = schema::SemVer::tryParse(before.labels.get("version").value_or(""));
  const auto version = schema::SemVer::tryParse(now.labels.get("version").value_or(""));
  if (!old || !version || *version >= *old) return;
  log::warn("{}: {} serves version {}, which is older than the {} that the store has", label,
            now.sources.empty() ? "its place" : now.sources.back(), version->str(), old->str());
}

// What a tool said last, without its name: "the signature is bad".
std::string lastLine(std::string_view text) {
  const std::string_view line = split(trim(text), '\n').back();
  constexpr std::string_view kError = ": error: ";
  const std::size_t at = line.find(kError);
  return std::string(at == std::string_view::npos ? line : line.substr(at + kError.size()));
}

}  // namespace

// The failures of the endpoints of one image, and what they come to.
class Fetcher::EndpointFailures {
 public:
  void add(const Error& error) {
    reasons_.emplace_back(error.what());
    if (!worst_ || weight(error.code()) > weight(*worst_)) worst_ = error.code();
  }

  std::string text() const { return join(reasons_, "; "); }

  [[noreturn]] void raise(const std::string& label) const {
    throw Error(reasons_.size() == 1 ? fmt::format("{}: {}", label, reasons_.front())
                                     : fmt::format("{}: none of {} endpoints works: {}", label,
                                                   reasons_.size(), text()),
                {}, worst_.value_or(ExitCode::failure));
  }

 private:
  std::vector<std::string> reasons_;
  std::optional<ExitCode> worst_;
};

record::Image Fetcher::fetch(const Request& request, net::HttpClient& http) const {
  // An image ID pins the content: nothing newer can be meant, whatever the policy.
  if (request.imageId) {
    if (auto found = outside_.store.resolve(request.imageId->str()))
      return answer(std::move(*found), refOf(request));
  }
  return std::visit(
      Overloaded{
          [&](const ByName& by) { return fetchName(request, by, http); },
          [&](const schema::ImageIdPrefix& id) {
            return answer(requireStored(id.str()), std::nullopt);
          },
          [&](const record::FileArg& file) { return fetchFile(request, file.path, http); },
          [&](const record::UrlArg& url) { return fetchUrl(request, url.url, http); },
          [&](const ByTorrent& torrent) { return fetchTorrent(request, torrent.place, http); },
          [&](const record::Image& image) {
            return answer(requireStored(image.id.str()), image.requested);
          },
      },
      request.what);
}

record::Image Fetcher::requireStored(const std::string& image) const {
  if (std::optional<record::Image> found = outside_.store.resolve(image)) return std::move(*found);
  throw NotFoundError(fmt::format("no image {} in the store", image),
                      "an image ID says what an image is, not where: fetch it by name or URL");
}

record::Image Fetcher::fetchName(const Request& request, const ByName& by,
                                 net::HttpClient& http) const {
  if (!request.imageId && options_.policy != PullPolicy::update) {
    if (auto found = outside_.store.resolve(by.ref.str())) return answer(std::move(*found), by.ref);
  }
  if (options_.policy == PullPolicy::never) {
    throw NotFoundError(fmt::format("no image {} in the store", request.label()),
                        "--pull-policy=never keeps from fetching it");
  }
  const record::Discovered found =
      by.discovered ? *by.discovered : outside_.discoverer.discover(by.ref);
  const std::vector<record::Endpoint> endpoints = usableEndpoints(found);
  // Keys are asked of the name's own pages, never of a mirror's.
  if (options_.trustKeysFromHttps && (!found.keys.empty() || found.askOrigin))
    outside_.truster.trustAnnounced(by.ref.name());

  // A mirror can hold back what is new, or go back to what is old; nobody but it says what is
  // newest.
  std::optional<record::Image> before;
  if (options_.policy == PullPolicy::update && !by.ref.labels().get("version"))
    before = outside_.store.resolve(by.ref.str());
  EndpointFailures failures;
  if (auto image = fetchFirst(request, by, endpoints, failures, http)) {
    if (before) warnIfOlder(request.label(), *before, *image);
    return std::move(*image);
  }
  if (!found.askOrigin) failures.raise(request.label());
  log::info("{}: no mirror has it, asking {} itself", request.label(), by.ref.name().host());
  std::vector<record::Endpoint> origin;
  try {
    origin = usableEndpoints(outside_.discoverer.discoverOrigin(by.ref));
  } catch (const cli::SiblingFailure& failure) {
    if (failure.code() != ExitCode::network && failure.code() != ExitCode::notFound) throw;
    // What the mirrors failed with is the rest of the story.
    log::info("{}", failures.text());
    throw;
  }
  if (auto image = fetchFirst(request, by, origin, failures, http)) return std::move(*image);
  failures.raise(request.label());
}

std::optional<record::Image> Fetcher::fetchFirst(const Request& request, const ByName& by,
                                                 const std::vector<record::Endpoint>& endpoints,
                                                 EndpointFailures& failures,
                                                 net::HttpClient& http) const {
  std::vector<std::string> webSeeds;
  for (const record::Endpoint& endpoint : endpoints) {
    if (isWebUrl(endpoint.aci)) webSeeds.push_back(endpoint.aci);
  }
  for (const record::Endpoint& endpoint : endpoints) {
    try {
      const bool swarm = !isWebUrl(endpoint.aci);
      return answer(swarm ? fetchSwarm(request, endpoint, webSeeds, http)
                          : fetchEndpoint(request, endpoint, options_.http, http),
                    by.ref);
    } catch (const cli::SiblingFailure& failure) {
      // A swarm that has nobody in it says nothing of another place.
      const bool nobody =
          failure.code() == ExitCode::network || failure.code() == ExitCode::notFound;
      if (nobody && endpoint.mirror.empty()) {
        failures.add(Error(lastLine(failure.text()), {}, failure.code()));
        continue;
      }
      // The bytes came and the store refused them: another place of the same owner does not change
      // that, and the operator should hear of it. A mirror is not the owner.
      if (endpoint.mirror.empty()) throw;
      log::warn("what mirror {} has for {} is refused: {}", endpoint.mirror, request.label(),
                lastLine(failure.text()));
      failures.add(Error(fmt::format("mirror {}: {}", endpoint.mirror, lastLine(failure.text())),
                         {}, failure.code()));
    } catch (const MissingSignature& error) {
      failures.add(error);
    } catch (const Error& error) {
      if (error.code() != ExitCode::network && error.code() != ExitCode::notFound) throw;
      failures.add(error);
    }
    if (&endpoint != &endpoints.back()) log::debug("{}: trying the next endpoint", request.label());
  }
  return std::nullopt;
}

record::Image Fetcher::fetchUrl(const Request& request, const std::string& url,
                                net::HttpClient& http) const {
  if (options_.policy != PullPolicy::update) {
    const std::optional<Remote> known = request.imageId ? std::nullopt : outside_.store.remote(url);
    if (known) {
      if (auto found = outside_.store.resolve(known->id.str())) return answer(*found, std::nullopt);
    }
    if (options_.policy == PullPolicy::never) {
      throw NotFoundError(fmt::format("no image of {} in the store", printable(url)),
                          "--pull-policy=never keeps from fetching it");
    }
  }
  return answer(
      fetchEndpoint(request, {url, signatureUrl(url)}, forTypedUrl(options_.http, url), http),
      std::nullopt);
}

record::Image Fetcher::fetchTorrent(const Request& request, const std::string& place,
                                    net::HttpClient& http) const {
  if (options_.transport == Transport::https) {
    throw UsageError(
        fmt::format("{} is a swarm, which --transport=https keeps from joining", printable(place)));
  }
  if (options_.policy != PullPolicy::update) {
    if (const std::optional<Remote> known = outside_.store.remote(place)) {
      if (auto found = outside_.store.resolve(known->id.str())) return answer(*found, std::nullopt);
    }
    if (options_.policy == PullPolicy::never) {
      throw NotFoundError(fmt::format("no image of {} in the store", printable(place)),
                          "--pull-policy=never keeps from fetching it");
    }
  }
  IngestRequest ingest = ingestRequest(request, place);
  SignatureFile signature;
  if (options_.requireSignature && !request.signature.empty())
    signature = SignatureFile::given(request.signature, options_.http, http);
  ingest.signature = signature.path();
  if (!isWebUrl(place)) return answer(joinSwarm(request, place, ingest, {}), std::nullopt);
  const TorrentFile torrent = TorrentFile::at(place, forTypedUrl(options_.http, place), http);
  return answer(joinSwarm(request, torrent.path().string(), ingest, {}), std::nullopt);
}

record::Image Fetcher::fetchSwarm(const Request& request, const record::Endpoint& endpoint,
                                  const std::vector<std::string>& webSeeds,
                                  net::HttpClient& client) const {
  if (options_.transport == Transport::https) {
    throw NotFoundError(fmt::format("{} is a swarm, which --transport=https keeps from joining",
                                    printable(endpoint.aci)));
  }
  IngestRequest ingest = ingestRequest(request, endpoint.aci);
  SignatureFile signature;
  if (options_.requireSignature && !request.signature.empty()) {
    signature = SignatureFile::given(request.signature, options_.http, client);
  } else if (options_.requireSignature && isWebUrl(endpoint.asc)) {
    signature =
        SignatureFile::of({*torrentUrlOf(endpoint.aci), endpoint.asc}, options_.http, client);
  }
  ingest.signature = signature.path();
  const TorrentFile torrent = TorrentFile::at(*torrentUrlOf(endpoint.aci), options_.http, client);
  const bool alone = options_.transport == Transport::torrent;
  return joinSwarm(request, torrent.path().string(), ingest,
                   alone ? std::vector<std::string>() : webSeeds);
}

std::optional<record::Image> Fetcher::trySwarmBeside(const Request& request, const std::string& url,
                                                     const IngestRequest& ingest,
                                                     const HttpOptions& http,
                                                     net::HttpClient& client) const {
  const bool must = options_.transport == Transport::torrent;
  if (options_.transport == Transport::https || (!must && !outside_.swarm.available())) {
    return std::nullopt;
  }
  try {
    const TorrentFile torrent = TorrentFile::at(torrentUrlBeside(url), http, client);
    return joinSwarm(request, torrent.path().string(), ingest,
                     must ? std::vector<std::string>() : std::vector<std::string>{url});
  } catch (const Error& error) {
    const bool elsewhere = error.code() == ExitCode::network || error.code() == ExitCode::notFound;
    if (must || !elsewhere) throw;
    log::debug("{}: no swarm: {}", request.label(), error.what());
    return std::nullopt;
  }
}

record::Image Fetcher::joinSwarm(const Request& request, const std::string& torrent,
                                 const IngestRequest& ingest,
                                 const std::vector<std::string>& webSeeds) const {
  const std::unique_ptr<Progress> progress = outside_.makeProgress(request.label());
  record::Image image = outside_.swarm.get(
      torrent, ingest, webSeeds,
      [&](std::uint64_t done, std::uint64_t total) { progress->update(done, total); });
  progress->finish();
  return image;
}

record::Image Fetcher::fetchFile(const Request& request, const Path& file,
                                 net::HttpClient& http) const {
  if (!actool::exists(file))
    throw NotFoundError(fmt::format("no file {}", printable(file.string())));
  IngestRequest ingest = ingestRequest(request, file.string());
  const SignatureFile signature = !options_.requireSignature ? SignatureFile()
                                  : !request.signature.empty()
                                      ? SignatureFile::given(request.signature, options_.http, http)
                                      : SignatureFile::beside(file);
  ingest.signature = signature.path();
  return answer(outside_.ingest.ingestFile(ingest, file), std::nullopt);
}

IngestRequest Fetcher::ingestRequest(const Request& request, const std::string& source) const {
  IngestRequest ingest;
  ingest.requested = refOf(request);
  ingest.imageId = request.imageId;
  ingest.size = request.size;
  ingest.maxSize = options_.limits.maxBytes;
  ingest.source = source;
  return ingest;
}

std::optional<record::Image> Fetcher::unchangedAt(const std::string& url, const HttpOptions& http,
                                                  net::HttpClient& client) const {
  const std::optional<Remote> known = outside_.store.remote(url);
  if (!known) return std::nullopt;
  std::optional<record::Image> image = outside_.store.resolve(known->id.str());
  if (!image || known->fresh) return image;
  if (known->etag.empty()) return std::nullopt;
  const auto confirmed = confirmUnchanged(client, url, known->etag, http);
  if (!confirmed) return std::nullopt;
  outside_.store.noteRemote(url, {}, confirmed->maxAge());
  return image;
}

record::Image Fetcher::fetchEndpoint(const Request& request, const record::Endpoint& endpoint,
                                     const HttpOptions& http, net::HttpClient& client) const {
  if (options_.policy == PullPolicy::update && !request.imageId) {
    if (auto image = unchangedAt(endpoint.aci, http, client)) return std::move(*image);
  }
  IngestRequest ingest = ingestRequest(request, endpoint.aci);
  const SignatureFile signature = !options_.requireSignature ? SignatureFile()
                                  : !request.signature.empty()
                                      ? SignatureFile::given(request.signature, http, client)
                                      : SignatureFile::of(endpoint, http, client);
  ingest.signature = signature.path();
  if (auto image = trySwarmBeside(request, endpoint.aci, ingest, http, client))
    return std::move(*image);
  const std::string label = request.label();
  TransferResult result = transfer(
      client, outside_.ingest, endpoint.aci, ingest, http, options_.limits,
      [&] { return outside_.makeProgress(label); }, outside_.sleep);
  if (result.transferred && (!result.etag.empty() || result.maxAge.count() > 0))
    outside_.store.noteRemote(endpoint.aci, result.etag, result.maxAge);
  return std::move(result.image);
}

}  // namespace actool::fetch
