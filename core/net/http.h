// HTTP as a small interface; the real client is libcurl's (curl_http.h), the tests have a
// fake one. Policy that holds for every request, whichever client:
//   - https only, unless the request allows plain http; TLS verified unless told otherwise;
//   - redirects are followed up to `maxRedirects`, never from https to http;
//   - credentials go to the host they are configured for and never follow a redirect to
//     another host; a 401 there is an error that says so; over plain http they go to this
//     machine's loopback only;
//   - no more than `maxBytes` of body are accepted;
//   - a transfer slower than `lowSpeedBytes` a second for `lowSpeedTime` fails.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/net/auth_config.h"

namespace actool::net {

struct HttpRequest {
  std::string url;
  bool allowHttp = false;      // --insecure-options=http, or a URL that is http itself
  bool verifyTls = true;       // --insecure-options=tls
  std::uint64_t maxBytes = 0;  // required: what a parser or a file may take
  std::uint64_t offset = 0;    // resume: "Range: bytes=OFFSET-"
  std::string ifRange;         // ETag that the resumed bytes had; sent with a Range only
  std::string ifNoneMatch;     // ETag; a 304 then has no body
  int maxRedirects = 10;
  std::chrono::seconds connectTimeout{30};
  std::chrono::seconds totalTimeout{0};  // 0: none; for small documents set one
  std::uint64_t lowSpeedBytes = 1;
  std::chrono::seconds lowSpeedTime{60};
};

struct HttpResponse {
  int status = 0;                 // of the last response: 200, 206, 304, 404, ...
  std::string effectiveUrl = {};  // after redirects
  std::uint64_t bodyOffset = 0;   // 206: where the body starts in the whole; otherwise 0
  std::optional<std::uint64_t> totalSize = {};      // of the whole resource, when the server says
  std::map<std::string, std::string> headers = {};  // lower-case names; of the last response

  std::string header(std::string_view name) const;  // empty when absent
  // From Cache-Control's max-age, 0 when absent, "no-cache" or "no-store".
  std::chrono::seconds maxAge() const;
};

// Called with the body of a 2xx as it comes. Exceptions abort the transfer and are rethrown
// from get(). `response` is complete but for the body.
using BodySink = std::function<void(const HttpResponse& response, std::span<const std::byte>)>;

class HttpClient {
 public:
  virtual ~HttpClient() = default;
  // Blocks. Throws NetworkError for what fails below HTTP, for broken redirect and credential
  // rules and for a body over maxBytes; any HTTP status is returned, not thrown.
  virtual HttpResponse get(const HttpRequest& request, const BodySink& sink) = 0;

  // The body as a string; same errors.
  std::pair<HttpResponse, std::string> getText(const HttpRequest& request);
};

// The error for a status that is not the one wanted: 404 and 410 are NotFoundError, 401 and
// 403 name the auth configuration, the rest are NetworkError.
[[noreturn]] void throwStatus(const HttpResponse& response, std::string_view url);

}  // namespace actool::net
