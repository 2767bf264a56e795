// What every HttpClient must do, run against the real client with a server on loopback and
// against the fake that other tests are built on.
#include <gtest/gtest.h>

#include <memory>

#include "core/net/curl_http.h"
#include "core/net/http.h"
#include "tests/support/errors.h"
#include "tests/support/fake_http.h"
#include "tests/support/loopback_server.h"

namespace actool::net {
namespace {

using test::basicAuthorization;
using test::FakeHttpClient;
using test::Headers;
using test::LoopbackServer;
using test::messageOf;
using test::Page;
using test::redirectPage;
using test::textPage;

// A server with two names, and clients that reach it.
class World {
 public:
  virtual ~World() = default;
  virtual void put(const std::string& path, Page page) = 0;
  virtual std::string url(const std::string& path) const = 0;
  virtual std::string otherUrl(const std::string& path) const = 0;  // by its other name
  virtual HttpClient& client(AuthConfig auth) = 0;
  virtual std::vector<std::pair<std::string, Headers>> seen() const = 0;  // URL or path, headers
};

class FakeWorld final : public World {
 public:
  void put(const std::string& path, Page page) override {
    pages_.emplace_back(path, std::move(page));
  }
  std::string url(const std::string& path) const override { return "http://127.0.0.1:81" + path; }
  std::string otherUrl(const std::string& path) const override {
    return "http://localhost:81" + path;
  }
  HttpClient& client(AuthConfig auth) override {
    client_ = std::make_unique<FakeHttpClient>(std::move(auth));
    for (const auto& [path, page] : pages_) {
      client_->put(url(path), page);
      client_->put(otherUrl(path), page);
    }
    return *client_;
  }
  std::vector<std::pair<std::string, Headers>> seen() const override {
    std::vector<std::pair<std::string, Headers>> result;
    for (const auto& seen : client_->seen()) {
      result.emplace_back(Url::parse(seen.url).path, seen.headers);
    }
    return result;
  }

 private:
  std::vector<std::pair<std::string, Page>> pages_;
  std::unique_ptr<FakeHttpClient> client_;
};

class CurlWorld final : public World {
 public:
  void put(const std::string& path, Page page) override { server_.put(path, std::move(page)); }
  std::string url(const std::string& path) const override { return server_.url(path); }
  std::string otherUrl(const std::string& path) const override {
    return server_.url(path, "localhost");
  }
  HttpClient& client(AuthConfig auth) override {
    client_ = makeCurlClient(std::move(auth));
    return *client_;
  }
  std::vector<std::pair<std::string, Headers>> seen() const override {
    std::vector<std::pair<std::string, Headers>> result;
    for (const auto& seen : server_.seen()) {
      result.emplace_back(seen.path, seen.headers);
    }
    return result;
  }

 private:
  LoopbackServer server_;
  std::unique_ptr<HttpClient> client_;
};

using MakeWorld = std::unique_ptr<World> (*)();

class HttpConformance : public ::testing::TestWithParam<MakeWorld> {
 protected:
  HttpConformance() : world(GetParam()()) {}

  HttpRequest request(const std::string& path) const {
    HttpRequest made;
    made.url = world->url(path);
    made.allowHttp = true;
    made.maxBytes = 1 << 20;
    made.totalTimeout = std::chrono::seconds(20);
    return made;
  }
  // The message of a NetworkError, "getting URL: " taken off.
  std::string errorOf(HttpClient& client, const HttpRequest& asked) const {
    const std::string text = messageOf<NetworkError>([&] { client.getText(asked); });
    const std::string context = "getting " + asked.url + ": ";
    return text.starts_with(context) ? text.substr(context.size()) : "no context: " + text;
  }
  // The port is the world's own; messages name it.
  std::string hostPort() const { return Url::parse(world->url("/")).hostPort(); }
  std::string otherHostPort() const { return Url::parse(world->otherUrl("/")).hostPort(); }
  std::vector<std::string> authorizations() const {
    std::vector<std::string> result;
    for (const auto& [path, headers] : world->seen()) {
      const auto found = headers.find("authorization");
      result.push_back(path + " " + (found == headers.end() ? "-" : found->second));
    }
    return result;
  }

  std::unique_ptr<World> world;
};

TEST_P(HttpConformance, GetsABody) {
  const std::string body(100'000, 'x');
  world->put("/a?b=c", {.body = body, .headers = {{"etag", "\"1\""}, {"x-more", "yes"}}});
  HttpClient& client = world->client({});
  std::string got;
  const HttpResponse response = client.get(
      request("/a?b=c"), [&](const HttpResponse& head, std::span<const std::byte> bytes) {
        EXPECT_EQ(head.status, 200);
        EXPECT_EQ(head.header("etag"), "\"1\"");
        EXPECT_EQ(head.totalSize, 100'000u);
        got.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      });
  EXPECT_EQ(got, body);
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.effectiveUrl, world->url("/a?b=c"));
  EXPECT_EQ(response.bodyOffset, 0u);
  EXPECT_EQ(response.header("x-more"), "yes");
  EXPECT_EQ(response.header("x-less"), "");
}

TEST_P(HttpConformance, GetsAnEmptyBody) {
  world->put("/empty", textPage(""));
  const auto [response, body] = world->client({}).getText(request("/empty"));
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.totalSize, 0u);
  EXPECT_EQ(body, "");
}

TEST_P(HttpConformance, ReturnsEveryStatusWithoutItsBody) {
  world->put("/broken", {.status = 503, .body = "sorry"});
  HttpClient& client = world->client({});
  for (const auto& [path, status] : {std::pair("/missing", 404), std::pair("/broken", 503)}) {
    const auto [response, body] = client.getText(request(path));
    EXPECT_EQ(response.status, status);
    EXPECT_EQ(body, "");
  }
}

TEST_P(HttpConformance, TakesMaxBytesAndNoMore) {
  world->put("/known", textPage(std::string(5000, 'x')));
  world->put("/unknown", {.body = std::string(5000, 'x'), .announceLength = false});
  HttpClient& client = world->client({});
  for (const char* path : {"/known", "/unknown"}) {
    HttpRequest asked = request(path);
    asked.maxBytes = 5000;
    EXPECT_EQ(client.getText(asked).second.size(), 5000u) << path;
  }
  HttpRequest asked = request("/known");
  asked.maxBytes = 4999;
  EXPECT_EQ(errorOf(client, asked), "the server announces 4.9 KiB, at most 4.9 KiB are accepted");
  asked = request("/unknown");
  asked.maxBytes = 4999;
  std::size_t got = 0;
  EXPECT_THROW(client.get(asked, [&](const HttpResponse&,
                                     std::span<const std::byte> bytes) { got += bytes.size(); }),
               NetworkError);
  EXPECT_LE(got, 4999u);
  EXPECT_EQ(errorOf(client, asked),
            "the server sends more than 4.9 KiB, which is the most accepted");
}

TEST_P(HttpConformance, Resumes) {
  world->put("/r", {.body = "0123456789", .headers = {{"etag", "\"v1\""}}});
  HttpClient& client = world->client({});
  HttpRequest asked = request("/r");
  asked.offset = 4;
  const auto [response, body] = client.getText(asked);
  EXPECT_EQ(response.status, 206);
  EXPECT_EQ(response.bodyOffset, 4u);
  EXPECT_EQ(response.totalSize, 10u);
  EXPECT_EQ(body, "456789");
  asked.ifRange = "\"v1\"";
  EXPECT_EQ(client.getText(asked).first.status, 206);
  asked.ifRange = "\"v0\"";
  const auto [whole, wholeBody] = client.getText(asked);
  EXPECT_EQ(whole.status, 200);
  EXPECT_EQ(whole.bodyOffset, 0u);
  EXPECT_EQ(wholeBody, "0123456789");
  asked.ifRange = "";
  asked.offset = 10;
  EXPECT_EQ(client.getText(asked).first.status, 416);
}

TEST_P(HttpConformance, TakesTheWholeWhereThereAreNoRanges) {
  world->put("/r", {.body = "0123456789", .ranges = false});
  HttpRequest asked = request("/r");
  asked.offset = 4;
  const auto [response, body] = world->client({}).getText(asked);
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.bodyOffset, 0u);
  EXPECT_EQ(body, "0123456789");
}

TEST_P(HttpConformance, RefusesAnotherRangeThanAskedFor) {
  world->put("/r", {.status = 206, .body = "abc", .headers = {{"content-range", "bytes 3-5/10"}}});
  world->put("/s", {.status = 206, .body = "abc", .headers = {{"content-range", "lines 4"}}});
  HttpClient& client = world->client({});
  HttpRequest asked = request("/r");
  asked.offset = 4;
  EXPECT_EQ(errorOf(client, asked),
            "asked for the bytes from 4 on, the server sends \"bytes 3-5/10\"; the server's range "
            "requests are broken");
  asked.url = world->url("/s");
  EXPECT_EQ(errorOf(client, asked),
            "asked for the bytes from 4 on, the server sends \"lines 4\"; the server's range "
            "requests are broken");
}

TEST_P(HttpConformance, AsksWithAnEtag) {
  world->put("/e",
             {.body = "new", .headers = {{"etag", "\"v2\""}, {"cache-control", "max-age=60"}}});
  HttpClient& client = world->client({});
  HttpRequest asked = request("/e");
  asked.ifNoneMatch = "\"v2\"";
  const auto [same, nothing] = client.getText(asked);
  EXPECT_EQ(same.status, 304);
  EXPECT_EQ(nothing, "");
  EXPECT_EQ(same.maxAge(), std::chrono::seconds(60));
  asked.ifNoneMatch = "\"v1\"";
  EXPECT_EQ(client.getText(asked).second, "new");
}

TEST_P(HttpConformance, FollowsRedirects) {
  world->put("/dir/1", redirectPage("2", 301));
  world->put("/dir/2", redirectPage("/3", 302));
  world->put("/3", redirectPage(world->otherUrl("/4"), 307));
  world->put("/4", redirectPage("/5", 308));
  world->put("/5", textPage("there"));
  const auto [response, body] = world->client({}).getText(request("/dir/1"));
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.effectiveUrl, world->otherUrl("/5"));
  EXPECT_EQ(body, "there");
}

TEST_P(HttpConformance, ReturnsARedirectToNowhere) {
  world->put("/r", {.status = 302, .body = "text"});
  const auto [response, body] = world->client({}).getText(request("/r"));
  EXPECT_EQ(response.status, 302);
  EXPECT_EQ(body, "");
}

TEST_P(HttpConformance, NamesARedirectLoop) {
  world->put("/a", redirectPage("/b"));
  world->put("/b", redirectPage("/a"));
  EXPECT_EQ(errorOf(world->client({}), request("/a")),
            world->url("/a") + " redirects in a loop: " + world->url("/b") + " leads back to " +
                world->url("/a") + "; the server's redirects are broken");
}

TEST_P(HttpConformance, LimitsRedirects) {
  for (int i = 0; i < 5; ++i) {
    world->put("/" + std::to_string(i), redirectPage("/" + std::to_string(i + 1)));
  }
  world->put("/5", textPage("there"));
  HttpClient& client = world->client({});
  HttpRequest asked = request("/0");
  asked.maxRedirects = 5;
  EXPECT_EQ(client.getText(asked).second, "there");
  asked.maxRedirects = 4;
  EXPECT_EQ(errorOf(client, asked), world->url("/0") + " redirects more than 4 times, last to " +
                                        world->url("/5") + "; the server's redirects are broken");
}

TEST_P(HttpConformance, LeavesNeitherHttpNorTheNetworkByARedirect) {
  world->put("/file", redirectPage("file:///etc/passwd"));
  world->put("/user", redirectPage("https://user:pw@example.test/"));
  HttpClient& client = world->client({});
  EXPECT_EQ(errorOf(client, request("/file")),
            world->url("/file") +
                " redirects to a place that cannot be followed: \"file:///etc/passwd\" is no URL "
                "that can be used: its scheme is neither http nor https");
  EXPECT_EQ(errorOf(client, request("/user")),
            world->url("/user") +
                " redirects to a place that cannot be followed: a URL with a user name or password "
                "in it is not accepted; put the credentials into auth.d");
  EXPECT_EQ(world->seen().size(), 2u);
}

TEST_P(HttpConformance, RefusesPlainHttpUnlessAllowed) {
  world->put("/a", textPage("x"));
  HttpClient& client = world->client({});
  HttpRequest asked = request("/a");
  asked.allowHttp = false;
  EXPECT_EQ(errorOf(client, asked), "plain http is not allowed for " + world->url("/a") +
                                        "; use https, or allow it with --insecure-options=http");
  EXPECT_TRUE(world->seen().empty());
}

TEST_P(HttpConformance, SendsCredentialsToTheirHost) {
  world->put("/basic", {.body = "in", .authorization = basicAuthorization("user", "pass word")});
  world->put("/bearer", {.body = "in", .authorization = "Bearer t0ken"});
  AuthConfig auth;
  auth.set(hostPort(), BasicAuth{"user", "pass word"});
  EXPECT_EQ(world->client(auth).getText(request("/basic")).second, "in");
  EXPECT_EQ(world->client(auth).getText(request("/bearer")).first.status, 401);
  auth.set(hostPort(), BearerAuth{"t0ken"});
  EXPECT_EQ(world->client(auth).getText(request("/bearer")).second, "in");
  EXPECT_EQ(world->client({}).getText(request("/bearer")).first.status, 401);
}

TEST_P(HttpConformance, SendsCredentialsToNoOtherHost) {
  world->put("/open", redirectPage(world->otherUrl("/free")));
  world->put("/free", textPage("in"));
  AuthConfig auth;
  auth.set(hostPort(), BasicAuth{"user", "pass"});
  EXPECT_EQ(world->client(auth).getText(request("/open")).second, "in");
  EXPECT_EQ(authorizations(),
            (std::vector<std::string>{"/open " + basicAuthorization("user", "pass"), "/free -"}));
}

TEST_P(HttpConformance, NamesARedirectTargetThatAsksForCredentials) {
  world->put("/open", redirectPage(world->otherUrl("/closed")));
  world->put("/closed", {.body = "in", .authorization = "Bearer secret"});
  AuthConfig auth;
  auth.set(hostPort(), BearerAuth{"secret"});
  EXPECT_EQ(errorOf(world->client(auth), request("/open")),
            hostPort() + " redirects to " + world->otherUrl("/closed") +
                ", which asks for credentials (HTTP 401); those of " + hostPort() +
                " are not sent there; if " + otherHostPort() +
                " is to be trusted with them, configure credentials for it in auth.d");
  EXPECT_EQ(authorizations(), (std::vector<std::string>{"/open Bearer secret", "/closed -"}));
}

TEST_P(HttpConformance, UsesTheRedirectTargetsOwnCredentials) {
  world->put("/open", redirectPage(world->otherUrl("/closed")));
  world->put("/closed", {.body = "in", .authorization = "Bearer theirs"});
  AuthConfig auth;
  auth.set(hostPort(), BearerAuth{"ours"});
  auth.set(otherHostPort(), BearerAuth{"theirs"});
  EXPECT_EQ(world->client(auth).getText(request("/open")).second, "in");
  EXPECT_EQ(authorizations(),
            (std::vector<std::string>{"/open Bearer ours", "/closed Bearer theirs"}));
}

TEST_P(HttpConformance, PassesTheSinksExceptionsOn) {
  struct Enough {};
  world->put("/a", textPage(std::string(300'000, 'x')));
  HttpClient& client = world->client({});
  int calls = 0;
  EXPECT_THROW(client.get(request("/a"),
                          [&](const HttpResponse&, std::span<const std::byte>) {
                            ++calls;
                            throw Enough();
                          }),
               Enough);
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(client.getText(request("/a")).second.size(), 300'000u);
}

TEST_P(HttpConformance, NamesABrokenConnection) {
  world->put("/a", {.body = std::string(50'000, 'x'), .breakAfter = 20'000});
  HttpClient& client = world->client({});
  std::size_t got = 0;
  const std::string text = messageOf<NetworkError>([&] {
    client.get(request("/a"),
               [&](const HttpResponse&, std::span<const std::byte> bytes) { got += bytes.size(); });
  });
  EXPECT_TRUE(text.starts_with("getting " + world->url("/a") + ": the connection to " + hostPort() +
                               " broke"))
      << text;
  EXPECT_EQ(got, 20'000u);
}

TEST_P(HttpConformance, RefusesWhatIsNoUrl) {
  HttpRequest asked = request("/a");
  asked.url = "nonsense";
  EXPECT_THROW(world->client({}).getText(asked), UsageError);
}

INSTANTIATE_TEST_SUITE_P(
    Clients, HttpConformance,
    ::testing::Values([]() -> std::unique_ptr<World> { return std::make_unique<FakeWorld>(); },
                      []() -> std::unique_ptr<World> { return std::make_unique<CurlWorld>(); }),
    [](const ::testing::TestParamInfo<MakeWorld>& param) {
      return param.index == 0 ? "Fake" : "Curl";
    });

}  // namespace
}  // namespace actool::net
