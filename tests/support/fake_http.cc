#include "tests/support/fake_http.h"

#include <fmt/format.h>

#include <algorithm>
#include <variant>

#include "core/base/error.h"
#include "core/base/strings.h"

namespace actool::test {
namespace {

// Small, so that a sink must cope with pieces.
constexpr std::size_t kPiece = 1000;

Headers requestHeaders(const net::HttpRequest& request, const net::Credential* credential) {
  Headers headers;
  if (request.offset > 0) {
    headers["range"] = fmt::format("bytes={}-", request.offset);
    if (!request.ifRange.empty()) headers["if-range"] = request.ifRange;
  }
  if (!request.ifNoneMatch.empty()) headers["if-none-match"] = request.ifNoneMatch;
  if (credential == nullptr) return headers;
  if (const auto* basic = std::get_if<net::BasicAuth>(credential)) {
    headers["authorization"] = basicAuthorization(basic->user, basic->password);
  } else {
    headers["authorization"] = "Bearer " + std::get<net::BearerAuth>(*credential).token;
  }
  return headers;
}

// Where a Location header leads from `from`: absolute, from the host's root, or beside.
std::string resolve(const net::Url& from, const std::string& location) {
  if (location.empty() || location.find("://") != std::string::npos) return location;
  const std::string root = from.scheme + "://" + from.hostPort();
  if (location.starts_with('/')) return root + location;
  return root + from.path.substr(0, from.path.rfind('/') + 1) + location;
}

}  // namespace

void FakeHttpClient::put(const std::string& url, Page page) {
  pages_.insert_or_assign(net::Url::parse(url).str, std::move(page));
}

void FakeHttpClient::putOnce(const std::string& url, Page page) {
  once_[net::Url::parse(url).str].push_back(std::move(page));
}

void FakeHttpClient::fail(const std::string& url, std::string why) {
  failures_[net::Url::parse(url).str] = std::move(why);
}

std::vector<std::string> FakeHttpClient::seenUrls() const {
  std::vector<std::string> urls;
  for (const Seen& seen : seen_) {
    urls.push_back(seen.url);
  }
  return urls;
}

net::HttpResponse FakeHttpClient::get(const net::HttpRequest& request, const net::BodySink& sink) {
  return withContext(fmt::format("getting {}", printable(request.url, 2000)), [&] {
    return net::followRedirects(request, auth_,
                                [&](const net::Url& url, const net::Credential* credential) {
                                  return perform(request, url, credential, sink);
                                });
  });
}

Page FakeHttpClient::pageFor(const std::string& url) {
  if (auto once = once_.find(url); once != once_.end() && !once->second.empty()) {
    Page page = std::move(once->second.front());
    once->second.pop_front();
    return page;
  }
  const auto found = pages_.find(url);
  return found != pages_.end() ? found->second : Page{.status = 404, .body = "not here"};
}

net::HopResult FakeHttpClient::perform(const net::HttpRequest& request, const net::Url& url,
                                       const net::Credential* credential,
                                       const net::BodySink& sink) {
  const Headers headers = requestHeaders(request, credential);
  seen_.push_back({url.str, headers, request});
  if (const auto failure = failures_.find(url.str); failure != failures_.end()) {
    throw NetworkError(failure->second);
  }
  const Answer given = answer(pageFor(url.str), headers);
  net::HopResult result;
  result.response.status = given.status;
  result.response.headers = given.headers;
  result.location = resolve(url, result.response.header("location"));
  net::completeHead(request, result.response);
  net::BodyGate gate(request, sink);
  const std::size_t end = std::min(given.body.size(), given.breakAfter.value_or(std::string::npos));
  for (std::size_t at = 0; at < end && net::isSuccess(result.response); at += kPiece) {
    const std::string_view piece =
        std::string_view(given.body).substr(at, std::min(kPiece, end - at));
    gate.accept(result.response, std::as_bytes(std::span(piece)));
  }
  if (given.breakAfter) {
    throw NetworkError(fmt::format("the connection to {} broke", url.hostPort()));
  }
  return result;
}

}  // namespace actool::test
