// The rules of http.h that do not depend on who carries the bytes. Every HttpClient is made of
// one function that performs a single request, and of these.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "core/net/auth_config.h"
#include "core/net/http.h"
#include "core/net/url.h"

namespace actool::net {

// The answer to one request, redirects not followed.
struct HopResult {
  HttpResponse response;
  std::string location;  // where a redirect leads, absolute; empty when there is none
};

// Performs one request. `credential` is null when none may be sent.
using Hop = std::function<HopResult(const Url& url, const Credential* credential)>;

// Follows redirects from request.url under the rules of http.h. Sets effectiveUrl. Throws
// NetworkError naming the URLs when a rule is broken, UsageError when request.url is no URL.
HttpResponse followRedirects(const HttpRequest& request, const AuthConfig& auth, const Hop& hop);

// Reads Content-Range and Content-Length of a response whose status and headers are there into
// bodyOffset and totalSize. Throws NetworkError when a 206 answers another range than the one
// asked for, or when a 2xx announces a body over maxBytes.
void completeHead(const HttpRequest& request, HttpResponse& response);

// Lets at most maxBytes of a 2xx's body through to the sink.
class BodyGate {
 public:
  BodyGate(const HttpRequest& request, const BodySink& sink) : request_(request), sink_(sink) {}
  // Throws NetworkError at the first byte over maxBytes, before the sink sees it, and what
  // the sink throws.
  void accept(const HttpResponse& response, std::span<const std::byte> bytes);

 private:
  const HttpRequest& request_;
  const BodySink& sink_;
  std::uint64_t accepted_ = 0;
};

bool isSuccess(const HttpResponse& response);   // 2xx
bool isRedirect(const HttpResponse& response);  // 301, 302, 303, 307, 308

}  // namespace actool::net
