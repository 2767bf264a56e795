#include "core/net/http_policy.h"

#include <fmt/format.h>

#include <set>

#include "core/base/error.h"
#include "core/base/strings.h"

namespace actool::net {
namespace {

bool isLoopback(const Url& url) {
  return url.host == "localhost" || url.host == "[::1]" || url.host.starts_with("127.");
}

// A redirect's target comes from a server: what is wrong with it is no usage error.
Url parseTarget(const Url& from, const std::string& location) {
  try {
    return Url::parse(location);
  } catch (const UsageError& error) {
    throw NetworkError(
        fmt::format("{} redirects to a place that cannot be followed: {}", from.str, error.what()));
  }
}

void checkRedirect(const HttpRequest& request, const Url& from, const Url& to) {
  if (from.scheme == "https" && to.scheme != "https") {
    throw NetworkError(fmt::format("{} redirects from https to {}", from.str, to.str),
                       "the server must redirect to an https URL");
  }
  if (to.scheme == "http" && !request.allowHttp) {
    throw NetworkError(fmt::format("{} redirects to plain http at {}", from.str, to.str));
  }
}

[[noreturn]] void throwUnauthorized(const Url& origin, const Url& url, bool withheld) {
  if (withheld) {
    throw NetworkError(
        fmt::format("{} asks for credentials, which are not sent over plain http", url.hostPort()),
        "use an https URL");
  }
  throw NetworkError(
      fmt::format("{} redirects to {}, which asks for credentials (HTTP 401); those of {} are not "
                  "sent there",
                  origin.hostPort(), url.str, origin.hostPort()),
      fmt::format("if {} is to be trusted with them, configure credentials for it in auth.d",
                  url.hostPort()));
}

struct ContentRange {
  std::uint64_t first = 0;
  std::optional<std::uint64_t> total;
};

// "bytes 100-199/1000" or "bytes 100-199/*".
std::optional<ContentRange> parseContentRange(std::string_view text) {
  if (!text.starts_with("bytes ")) return std::nullopt;
  text.remove_prefix(6);
  const auto dash = text.find('-');
  const auto slash = text.find('/');
  if (dash == std::string_view::npos || slash == std::string_view::npos || slash < dash) {
    return std::nullopt;
  }
  const auto first = parseUint(text.substr(0, dash));
  const auto last = parseUint(text.substr(dash + 1, slash - dash - 1));
  const std::string_view totalText = text.substr(slash + 1);
  const auto total = parseUint(totalText);
  if (!first || !last || *last < *first) return std::nullopt;
  if (totalText != "*" && (!total || *total <= *last)) return std::nullopt;
  return ContentRange{*first, total};
}

}  // namespace

bool isSuccess(const HttpResponse& response) {
  return response.status >= 200 && response.status < 300;
}

bool isRedirect(const HttpResponse& response) {
  const int status = response.status;
  return (status >= 301 && status <= 303) || status == 307 || status == 308;
}

HttpResponse followRedirects(const HttpRequest& request, const AuthConfig& auth, const Hop& hop) {
  const Url origin = Url::parse(request.url);
  if (origin.scheme == "http" && !request.allowHttp) {
    throw NetworkError(fmt::format("plain http is not allowed for {}", origin.str),
                       "use https, or allow it with --insecure-options=http");
  }
  std::set<std::string> visited;
  Url url = origin;
  for (int redirects = 0;; ++redirects) {
    visited.insert(url.str);
    const Credential* configured = auth.find(url.hostPort());
    const bool withheld = configured != nullptr && url.scheme == "http" && !isLoopback(url);
    const Credential* credential = withheld ? nullptr : configured;

    HopResult result = hop(url, credential);
    result.response.effectiveUrl = url.str;
    const bool elsewhere = url.hostPort() != origin.hostPort() && credential == nullptr;
    if (result.response.status == 401 && (withheld || elsewhere)) {
      throwUnauthorized(origin, url, withheld);
    }
    if (!isRedirect(result.response) || result.location.empty()) return result.response;

    const Url next = parseTarget(url, result.location);
    checkRedirect(request, url, next);
    // Requests carry no state: a URL that comes again will answer as it did.
    if (visited.contains(next.str)) {
      throw NetworkError(
          fmt::format("{} redirects in a loop: {} leads back to {}", origin.str, url.str, next.str),
          "the server's redirects are broken");
    }
    if (redirects == request.maxRedirects) {
      throw NetworkError(fmt::format("{} redirects more than {} times, last to {}", origin.str,
                                     request.maxRedirects, next.str),
                         "the server's redirects are broken");
    }
    url = next;
  }
}

void completeHead(const HttpRequest& request, HttpResponse& response) {
  if (!isSuccess(response)) return;
  const auto length = parseUint(response.header("content-length"));
  if (response.status == 206) {
    const std::string header = response.header("content-range");
    const auto range = parseContentRange(header);
    if (!range || range->first != request.offset) {
      throw NetworkError(fmt::format("asked for the bytes from {} on, the server sends \"{}\"",
                                     request.offset, printable(header)),
                         "the server's range requests are broken");
    }
    response.bodyOffset = range->first;
    response.totalSize = range->total;
  } else {
    response.totalSize = length;
  }
  if (length && *length > request.maxBytes) {
    throw NetworkError(fmt::format("the server announces {}, at most {} are accepted",
                                   formatByteSize(*length), formatByteSize(request.maxBytes)));
  }
}

void BodyGate::accept(const HttpResponse& response, std::span<const std::byte> bytes) {
  if (bytes.size() > request_.maxBytes - accepted_) {
    throw NetworkError(fmt::format("the server sends more than {}, which is the most accepted",
                                   formatByteSize(request_.maxBytes)));
  }
  accepted_ += bytes.size();
  sink_(response, bytes);
}

}  // namespace actool::net
