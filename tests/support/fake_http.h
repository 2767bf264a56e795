// An HttpClient without a network, for tests of what is built on one. It obeys the rules of
// core/net/http.h; tests/unit/core/http_conformance_test.cc holds it against the real client.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "core/net/auth_config.h"
#include "core/net/http.h"
#include "core/net/http_policy.h"
#include "tests/support/page.h"

namespace actool::test {

class FakeHttpClient final : public net::HttpClient {
 public:
  explicit FakeHttpClient(net::AuthConfig auth = {}) : auth_(std::move(auth)) {}

  // Answers every request for `url` from now on. A URL that nothing was put under answers 404.
  void put(const std::string& url, Page page);
  void put(const std::string& url, std::string body) { put(url, textPage(std::move(body))); }
  // Answers one request for `url`, before what put() gave it; several come in their order.
  void putOnce(const std::string& url, Page page);
  // No connection to `url` can be made.
  void fail(const std::string& url, std::string why);

  net::HttpResponse get(const net::HttpRequest& request, const net::BodySink& sink) override;

  // Every request that was made, redirected ones included.
  struct Seen {
    std::string url;
    Headers headers;
    net::HttpRequest request;  // as get() was given it
  };
  const std::vector<Seen>& seen() const { return seen_; }
  std::vector<std::string> seenUrls() const;

 private:
  Page pageFor(const std::string& url);
  net::HopResult perform(const net::HttpRequest& request, const net::Url& url,
                         const net::Credential* credential, const net::BodySink& sink);

  net::AuthConfig auth_;
  std::map<std::string, Page> pages_;
  std::map<std::string, std::deque<Page>> once_;
  std::map<std::string, std::string> failures_;
  std::vector<Seen> seen_;
};

}  // namespace actool::test
