// What only the real client has: TLS, time-outs, hostile servers on a real wire.
#include "core/net/curl_http.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "core/base/fs.h"
#include "core/net/http_policy.h"
#include "tests/support/errors.h"
#include "tests/support/loopback_server.h"

namespace actool::net {
namespace {

using test::LoopbackServer;
using test::messageOf;
using test::redirectPage;
using test::TestCertificate;
using test::textPage;

class CurlTls : public ::testing::Test {
 protected:
  CurlTls() { trust(certificate_); }
  ~CurlTls() override { unsetenv("SSL_CERT_FILE"); }

  void trust(const TestCertificate& certificate) {
    writeFilePlain(temp_.path() / "ca.pem", certificate.pem());
    setenv("SSL_CERT_FILE", (temp_.path() / "ca.pem").c_str(), 1);
  }
  static HttpRequest request(const std::string& url) {
    HttpRequest made;
    made.url = url;
    made.maxBytes = 1 << 20;
    made.totalTimeout = std::chrono::seconds(20);
    return made;
  }
  std::string errorOf(const HttpRequest& asked) {
    return messageOf<NetworkError>([&] { client_->getText(asked); });
  }

  TempDir temp_{tempRoot(), "tls."};
  TestCertificate certificate_{"localhost"};
  std::unique_ptr<HttpClient> client_ = makeCurlClient(AuthConfig{});
};

TEST_F(CurlTls, TrustsTheBundleOfTheEnvironment) {
  LoopbackServer server(certificate_);
  server.put("/a", textPage("hello"));
  EXPECT_EQ(client_->getText(request(server.url("/a", "localhost"))).second, "hello");
}

TEST_F(CurlTls, RefusesTheCertificateOfAnotherHost) {
  const TestCertificate other("other.test");
  trust(other);
  LoopbackServer server(other);
  server.put("/a", textPage("hello"));
  const std::string url = server.url("/a", "localhost");
  const std::string host = "localhost:" + std::to_string(server.port());
  EXPECT_EQ(errorOf(request(url)),
            "getting " + url + ": the certificate of " + host +
                " is not accepted (SSL: no alternative certificate subject name matches target "
                "host name 'localhost'); have the server's certificate mended, or name the CA "
                "bundle in SSL_CERT_FILE");
  EXPECT_TRUE(server.seen().empty());
}

TEST_F(CurlTls, RefusesAnUnknownAuthority) {
  LoopbackServer server(TestCertificate("localhost"));  // same name, another key
  server.put("/a", textPage("hello"));
  HttpRequest asked = request(server.url("/a", "localhost"));
  const std::string text = errorOf(asked);
  EXPECT_TRUE(text.starts_with("getting " + asked.url + ": the certificate of localhost:" +
                               std::to_string(server.port()) + " is not accepted ("))
      << text;
  EXPECT_TRUE(server.seen().empty());
  asked.verifyTls = false;
  EXPECT_EQ(client_->getText(asked).second, "hello");
}

TEST_F(CurlTls, RefusesARedirectFromHttpsToHttp) {
  LoopbackServer plain;
  plain.put("/a", textPage("hello"));
  LoopbackServer server(certificate_);
  server.put("/a", redirectPage(plain.url("/a")));
  HttpRequest asked = request(server.url("/a", "localhost"));
  for (const bool allowHttp : {false, true}) {
    asked.allowHttp = allowHttp;
    EXPECT_EQ(errorOf(asked), "getting " + asked.url + ": " + asked.url +
                                  " redirects from https to " + plain.url("/a") +
                                  "; the server must redirect to an https URL");
  }
  EXPECT_TRUE(plain.seen().empty());
}

TEST_F(CurlTls, NamesAServerWithoutTls) {
  LoopbackServer plain;
  const std::string host = "localhost:" + std::to_string(plain.port());
  const std::string text = errorOf(request("https://" + host + "/"));
  EXPECT_TRUE(text.starts_with("getting https://" + host + "/: no TLS connection to " + host))
      << text;
}

TEST_F(CurlTls, NamesABundleThatIsNotThere) {
  setenv("SSL_CERT_FILE", "/nonexistent/ca.pem", 1);
  LoopbackServer server(certificate_);
  const std::string text = errorOf(request(server.url("/a", "localhost")));
  EXPECT_TRUE(text.ends_with("; check SSL_CERT_FILE or install ca-certificates")) << text;
}

HttpRequest plainRequest(const std::string& url) {
  HttpRequest made;
  made.url = url;
  made.allowHttp = true;
  made.maxBytes = 1 << 20;
  return made;
}

TEST(CurlHttp, GivesUpOnASilentServer) {
  LoopbackServer server;
  server.stall("/a");
  HttpRequest asked = plainRequest(server.url("/a"));
  asked.totalTimeout = std::chrono::seconds(1);
  const std::string text =
      messageOf<NetworkError>([&] { makeCurlClient(AuthConfig{})->getText(asked); });
  EXPECT_TRUE(text.starts_with("getting " + asked.url +
                               ": 127.0.0.1:" + std::to_string(server.port()) + " is too slow ("))
      << text;
}

TEST(CurlHttp, NamesAClosedPort) {
  std::string url;
  {
    const LoopbackServer server;
    url = server.url("/a");
  }
  const std::string text =
      messageOf<NetworkError>([&] { makeCurlClient(AuthConfig{})->getText(plainRequest(url)); });
  EXPECT_TRUE(text.starts_with("getting " + url + ": no connection to 127.0.0.1:")) << text;
  EXPECT_TRUE(text.ends_with("; check that the server runs and can be reached")) << text;
}

TEST(CurlHttp, RefusesEndlessHeaders) {
  LoopbackServer server;
  test::Page page = textPage("x");
  for (int i = 0; i < 40; ++i) {
    page.headers["x-" + std::to_string(i)] = std::string(10'000, 'h');
  }
  server.put("/a", page);
  EXPECT_EQ(messageOf<NetworkError>(
                [&] { makeCurlClient(AuthConfig{})->getText(plainRequest(server.url("/a"))); }),
            "getting " + server.url("/a") + ": the server sends more than 256.0 KiB of headers");
}

TEST(CurlHttp, StopsReadingALongErrorPage) {
  LoopbackServer server;
  server.put("/a", {.status = 500, .body = std::string(64 << 20, 'x')});
  const auto [response, body] =
      makeCurlClient(AuthConfig{})->getText(plainRequest(server.url("/a")));
  EXPECT_EQ(response.status, 500);
  EXPECT_EQ(body, "");
}

TEST(CurlHttp, LetsNoEtagForgeHeaders) {
  LoopbackServer server;
  HttpRequest asked = plainRequest(server.url("/a"));
  asked.ifNoneMatch = "\"x\"\r\nAuthorization: y";
  EXPECT_EQ(messageOf([&] { makeCurlClient(AuthConfig{})->getText(asked); }),
            "getting " + asked.url +
                ": the ETag \"\\x22x\\x22\\x0d\\x0aAuthorization: y\" has a line break");
  EXPECT_TRUE(server.seen().empty());
}

// Without a network: over plain http credentials go nowhere but to loopback.
TEST(FollowRedirects, WithholdsCredentialsFromPlainHttp) {
  AuthConfig auth;
  auth.set("example.test", BearerAuth{"t"});
  int withCredential = 0;
  const auto get = [&](const std::string& url, int status) {
    return followRedirects(plainRequest(url), auth, [&](const Url&, const Credential* credential) {
      withCredential += credential != nullptr ? 1 : 0;
      return HopResult{{.status = status}, {}};
    });
  };
  EXPECT_EQ(get("http://example.test/", 200).status, 200);
  EXPECT_EQ(withCredential, 0);
  EXPECT_EQ(messageOf<NetworkError>([&] { get("http://example.test/", 401); }),
            "example.test asks for credentials, which are not sent over plain http; use an https "
            "URL");
  EXPECT_EQ(get("https://example.test/", 401).status, 401);
  EXPECT_EQ(withCredential, 1);
}

TEST(HttpResponse, KnowsItsMaxAge) {
  const std::pair<const char*, int> cases[] = {{"", 0},
                                               {"max-age=60", 60},
                                               {"public, Max-Age=60", 60},
                                               {"max-age=60, no-cache", 0},
                                               {"no-store, max-age=60", 0},
                                               {"max-age=-1", 0},
                                               {"max-age=", 0},
                                               {"s-maxage=60", 0},
                                               {"max-age=99999999999999", 315360000}};
  for (const auto& [control, seconds] : cases) {
    const HttpResponse response{.headers = {{"cache-control", control}}};
    EXPECT_EQ(response.maxAge().count(), seconds) << control;
  }
}

TEST(ThrowStatus, SaysWhatToDo) {
  const auto text = [](int status) {
    return messageOf([&] { throwStatus({.status = status}, "https://a/b"); });
  };
  EXPECT_EQ(text(404), "https://a/b: the server answers HTTP 404 Not Found");
  EXPECT_EQ(text(401),
            "https://a/b: the server answers HTTP 401 Unauthorized; give credentials for this host "
            "in auth.d, or check those there are");
  EXPECT_EQ(text(503),
            "https://a/b: the server answers HTTP 503 Service Unavailable; try again later");
  EXPECT_EQ(text(302), "https://a/b: the server answers HTTP 302");
  EXPECT_THROW(throwStatus({.status = 410}, "x"), NotFoundError);
  EXPECT_THROW(throwStatus({.status = 403}, "x"), NetworkError);
}

}  // namespace
}  // namespace actool::net
