// The bytes of one URL into one ingest: resume, retries, limits.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "core/base/progress.h"
#include "core/net/http.h"
#include "fetch/ingest_client.h"

namespace actool::fetch {

struct HttpOptions {
  bool allowHttp = false;
  bool verifyTls = true;
};

struct TransferLimits {
  // --max-bytes, over the whole image. Without it the store's own limit holds, which ends a
  // server that never does; this one is known before the first byte.
  std::optional<std::uint64_t> maxBytes = {};
  // A transfer that broke after bytes had come is taken up again this often.
  int retries = 3;
  std::chrono::milliseconds firstDelay{500};  // doubled each time
};

using MakeProgress = std::function<std::unique_ptr<Progress>()>;
using Sleep = std::function<void(std::chrono::milliseconds)>;

struct TransferResult {
  record::Image image;
  bool transferred = false;  // false: somebody else brought it, nothing was sent
  std::string etag;
  std::chrono::seconds maxAge{0};
};

// Begins an ingest, asks it where to go on, and sends it the body of `url` from there. A server
// that answers with the whole is read from the start and what is known already dropped.
// Throws NetworkError and NotFoundError for the transfer, TrustError for a body over the limit, and
// ingest's own failures; in the first two cases what came stays in the store.
TransferResult transfer(net::HttpClient& http, IngestClient& ingest, const std::string& url,
                        const IngestRequest& request, const HttpOptions& options,
                        const TransferLimits& limits, const MakeProgress& makeProgress,
                        const Sleep& sleep);

// A small document, whole. Nothing for 404 and 410; throws as net::throwStatus() for other
// statuses than 200.
std::optional<std::string> download(net::HttpClient& http, const std::string& url,
                                    const HttpOptions& options, std::uint64_t maxBytes);

// True when the server has a body for `url`; none of it is read.
bool isThere(net::HttpClient& http, const std::string& url, const HttpOptions& options);

// The response when the server says (304) that the bytes named `etag` are still what is at `url`;
// nothing for any other answer, of whose body nothing is read.
std::optional<net::HttpResponse> confirmUnchanged(net::HttpClient& http, const std::string& url,
                                                  const std::string& etag,
                                                  const HttpOptions& options);

}  // namespace actool::fetch
