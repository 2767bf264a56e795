// One image into the store, by pull policy: the store, discovery, endpoints in order.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/net/http.h"
#include "core/record/record.h"
#include "fetch/ingest_client.h"
#include "fetch/pull_policy.h"
#include "fetch/request.h"
#include "fetch/siblings.h"
#include "fetch/swarm_client.h"
#include "fetch/transfer.h"
#include "fetch/transport.h"

namespace actool::fetch {

struct FetchOptions {
  PullPolicy policy = PullPolicy::fetchNew;
  HttpOptions http;
  bool requireSignature = true;  // false: --insecure-options=image
  bool trustKeysFromHttps = false;
  TransferLimits limits;
  Transport transport = Transport::automatic;
};

// The world outside. Everything is used by several threads; the references outlive the Fetcher.
struct Outside {
  IngestClient& ingest;
  StoreQuery& store;
  Discoverer& discoverer;
  KeyTruster& truster;
  std::function<std::unique_ptr<Progress>(const std::string& label)> makeProgress;
  Sleep sleep;
  SwarmClient& swarm;
};

class Fetcher {
 public:
  Fetcher(Outside outside, FetchOptions options)
      : outside_(std::move(outside)), options_(std::move(options)) {}

  // The image of the store that answers `request`, brought there if need be. `http` is used by
  // the calling thread only. Its record's `requested` is what was asked for here.
  // Throws NotFoundError, NetworkError, TrustError and what the other tools failed with.
  record::Image fetch(const Request& request, net::HttpClient& http) const;

 private:
  record::Image fetchName(const Request& request, const ByName& by, net::HttpClient& http) const;
  // At the first of `endpoints` that has it; nothing, and why, when none does.
  class EndpointFailures;
  std::optional<record::Image> fetchFirst(const Request& request, const ByName& by,
                                          const std::vector<record::Endpoint>& endpoints,
                                          EndpointFailures& failures, net::HttpClient& http) const;
  record::Image fetchUrl(const Request& request, const std::string& url,
                         net::HttpClient& http) const;
  record::Image fetchFile(const Request& request, const Path& file, net::HttpClient& http) const;
  record::Image fetchTorrent(const Request& request, const std::string& place,
                             net::HttpClient& http) const;
  record::Image requireStored(const std::string& image) const;

  // The image at one place on the web, by policy `update` with as little transfer as possible.
  record::Image fetchEndpoint(const Request& request, const record::Endpoint& endpoint,
                              const HttpOptions& http, net::HttpClient& client) const;
  // The same for an endpoint that is a swarm. `webSeeds` have the same image.
  record::Image fetchSwarm(const Request& request, const record::Endpoint& endpoint,
                           const std::vector<std::string>& webSeeds, net::HttpClient& client) const;
  // The image at `url` from the swarm that is announced beside it; nothing when there is none that
  // works and the web will do.
  std::optional<record::Image> trySwarmBeside(const Request& request, const std::string& url,
                                              const IngestRequest& ingest, const HttpOptions& http,
                                              net::HttpClient& client) const;
  // The one at `url`, by its torrent.
  record::Image joinSwarm(const Request& request, const std::string& torrent,
                          const IngestRequest& ingest,
                          const std::vector<std::string>& webSeeds) const;
  std::optional<record::Image> unchangedAt(const std::string& url, const HttpOptions& http,
                                           net::HttpClient& client) const;
  IngestRequest ingestRequest(const Request& request, const std::string& source) const;

  Outside outside_;
  FetchOptions options_;
};

}  // namespace actool::fetch
