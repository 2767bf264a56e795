#include "discovery/discover.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/base/fs.h"
#include "tests/support/fake_http.h"

namespace actool::discovery {
namespace {

using ::testing::ElementsAre;

const std::string kHost = "https://example.com?ac-discovery=1";
const std::string kHostSeen = "https://example.com/?ac-discovery=1";  // as it is sent
const std::string kWeb = "https://example.com/web?ac-discovery=1";
const std::string kWebAdmin = "https://example.com/web/admin?ac-discovery=1";

const std::string kWebRef = "example.com/web:1.0.0,os=linux,arch=amd64";
const std::string kWebImage = "https://images.example.com/linux/amd64/example.com/web-1.0.0.aci";

class DiscoverTest : public ::testing::Test {
 protected:
  void page(const std::string& url, const std::string& file) {
    client_.put(url, readFile(Path(ACTOOL_TESTDATA) / "discovery" / file, 1 << 20));
  }
  void status(const std::string& url, int status) { client_.put(url, {.status = status}); }

  std::vector<std::string> images(const std::string& ref) {
    std::vector<std::string> urls;
    Discoverer discoverer(client_, options_);
    for (const record::Endpoint& endpoint : discoverer.images(schema::AppRef::parse(ref))) {
      EXPECT_EQ(endpoint.asc, endpoint.aci + ".asc");
      urls.push_back(endpoint.aci);
    }
    return urls;
  }

  std::vector<std::string> keys(const std::string& name) {
    return Discoverer(client_, options_).keys(schema::AcIdentifier::parse(name));
  }

  // "CODE: message" of the error that the call leaves with.
  template <typename Fn>
  std::string failure(Fn&& call) {
    try {
      call();
    } catch (const Error& error) {
      return fmt::format("{}: {}", static_cast<int>(error.code()), error.what());
    }
    return "no error";
  }

  test::FakeHttpClient client_;
  Options options_;
};

TEST_F(DiscoverTest, PageOfTheNameItself) {
  page(kWeb, "both.html");
  EXPECT_THAT(images(kWebRef), ElementsAre(kWebImage));
  EXPECT_THAT(client_.seenUrls(), ElementsAre(kWeb));
  EXPECT_THAT(keys("example.com/web"), ElementsAre("https://example.com/keys.asc"));
}

TEST_F(DiscoverTest, WalksUpOn4xxAndOnPagesWithoutTags) {
  status(kWebAdmin, 410);
  client_.put(kWeb, "<!doctype html><title>nothing here</title>");
  page(kHost, "both.html");
  EXPECT_THAT(images("example.com/web/admin:2,os=linux,arch=amd64"),
              ElementsAre("https://images.example.com/linux/amd64/example.com/web/admin-2.aci"));
  EXPECT_THAT(client_.seenUrls(), ElementsAre(kWebAdmin, kWeb, kHostSeen));
}

TEST_F(DiscoverTest, NothingOnTheWholeWay) {
  page("https://example.com/elsewhere?ac-discovery=1", "both.html");
  client_.put(kHost, "hello");
  EXPECT_EQ(failure([&] { images(kWebRef); }),
            "252: no ac-discovery tag for it found; tried https://example.com/web?ac-discovery=1: "
            "status 404; https://example.com?ac-discovery=1: no ac-discovery tag; is the name "
            "right, and does example.com announce it?");
}

TEST_F(DiscoverTest, ImagesAndKeysHaveAWalkEach) {
  page(kHost, "images_only.html");
  page(kWeb, "keys_only.html");
  EXPECT_THAT(images(kWebRef), ElementsAre(kWebImage));
  EXPECT_THAT(keys("example.com/web"), ElementsAre("https://example.com/keys.asc"));

  page(kHost, "keys_only.html");
  page(kWeb, "images_only.html");
  EXPECT_THAT(images(kWebRef), ElementsAre(kWebImage));
  EXPECT_THAT(keys("example.com/web"), ElementsAre("https://example.com/keys.asc"));

  page(kHost, "images_only.html");
  EXPECT_THAT(images(kWebRef), ElementsAre(kWebImage));
  EXPECT_EQ(failure([&] { keys("example.com/web"); }),
            "252: no ac-discovery-pubkeys tag for it found; tried "
            "https://example.com/web?ac-discovery=1: no ac-discovery-pubkeys tag; "
            "https://example.com?ac-discovery=1: no ac-discovery-pubkeys tag; is the name right, "
            "and does example.com announce it?");
}

TEST_F(DiscoverTest, NearestPageThatServesWins) {
  page(kHost, "other_place.html");
  page(kWeb, "images_only.html");
  EXPECT_THAT(images(kWebRef), ElementsAre(kWebImage));
  EXPECT_THAT(keys("example.com/web"), ElementsAre("https://example.com/other-keys.asc"));
}

TEST_F(DiscoverTest, PagesAreFetchedOnce) {
  page(kHost, "both.html");
  Discoverer discoverer(client_, options_);
  discoverer.images(schema::AppRef::parse(kWebRef));
  discoverer.keys(schema::AcIdentifier::parse("example.com/web"));
  discoverer.images(schema::AppRef::parse("example.com/api:1,os=linux,arch=amd64"));
  EXPECT_THAT(client_.seenUrls(),
              ElementsAre(kWeb, kHostSeen, "https://example.com/api?ac-discovery=1"));
}

TEST_F(DiscoverTest, EveryMatchingTemplateInTheOrderOfThePage) {
  page(kWeb, "several.html");
  EXPECT_THAT(
      images(kWebRef),
      ElementsAre(kWebImage, "torrent+https://images.example.com/example.com/web-1.0.0.torrent#aci",
                  "https://web.example.com/1.0.0/web.aci",
                  "hdfs://store.example.com/example.com/web-1.0.0-linux-amd64.aci"));
  EXPECT_THAT(images(kWebRef + ",channel=beta").back(),
              "https://images.example.com/example.com/web-1.0.0-beta.aci");
  EXPECT_THAT(keys("example.com/web"),
              ElementsAre("https://example.com/keys.asc", "https://web.example.com/keys.asc"));
}

TEST_F(DiscoverTest, PrefixesMatchByWholeComponents) {
  page("https://example.com/webserver?ac-discovery=1", "several.html");
  // The third template is for example.com/web alone.
  EXPECT_THAT(
      images("example.com/webserver:1.0.0"),
      ElementsAre("torrent+https://images.example.com/example.com/webserver-1.0.0.torrent#aci"));
  EXPECT_THAT(keys("example.com/webserver"), ElementsAre("https://example.com/keys.asc"));

  client_.put(kHost, "<meta name=ac-discovery content='example.c https://h/{ext}'>");
  EXPECT_THAT(failure([&] { images("example.com"); }),
              ::testing::HasSubstr(": its ac-discovery tag is for \"example.c\"; "));
  client_.put(kHost, "<meta name=ac-discovery content='example.com/ https://h/{ext}'>");
  EXPECT_THAT(images("example.com"), ElementsAre("https://h/aci"));
}

TEST_F(DiscoverTest, VersionDefaultsToLatestAndOtherLabelsToNothing) {
  client_.put(kWeb,
              "<meta name=ac-discovery content='example.com https://h/{name}-{version}-{os}.{ext}'>"
              "<meta name=ac-discovery content='example.com https://h/{name}-{version}.{ext}'>");
  EXPECT_THAT(images("example.com/web"), ElementsAre("https://h/example.com/web-latest.aci"));
}

TEST_F(DiscoverTest, TemplatesThatCannotBeUsedSendTheWalkOn) {
  client_.put(kWeb, "<meta name=ac-discovery content='example.com https://h/{flavour}.{ext}'>");
  EXPECT_EQ(failure([&] { images(kWebRef); }),
            "252: no ac-discovery tag for it found; tried https://example.com/web?ac-discovery=1: "
            "the template needs {flavour}; https://example.com?ac-discovery=1: status 404; is the "
            "name right, and does example.com announce it?");
  page(kHost, "both.html");
  EXPECT_THAT(images(kWebRef), ElementsAre(kWebImage));
}

TEST_F(DiscoverTest, KeyUrlsThatAreNoneAreSkipped) {
  client_.put(kWeb,
              "<meta name=ac-discovery-pubkeys content='example.com /keys.asc'>"
              "<meta name=ac-discovery-pubkeys content='example.com file:///etc/passwd'>"
              "<meta name=ac-discovery-pubkeys content='example.com https://h/keys.asc'>");
  EXPECT_THAT(keys("example.com/web"), ElementsAre("https://h/keys.asc"));
}

TEST_F(DiscoverTest, APageThatDoesNotAnswerEndsTheWalk) {
  page(kHost, "both.html");
  status(kWeb, 503);
  EXPECT_EQ(failure([&] { keys("example.com/web"); }),
            "251: https://example.com/web?ac-discovery=1: status 503; try again later");
  status(kWeb, 204);
  EXPECT_EQ(failure([&] { images(kWebRef); }),
            "251: https://example.com/web?ac-discovery=1: status 204");
  client_.fail(kWeb, "the certificate is for another host");
  EXPECT_EQ(failure([&] { images("example.com/web/admin"); }),
            "251: https://example.com/web/admin?ac-discovery=1: status 404; getting "
            "https://example.com/web?ac-discovery=1: the certificate is for another host");
}

TEST_F(DiscoverTest, RedirectsAreFollowedWithinTheRules) {
  client_.put(kWeb, test::redirectPage("https://www.example.com/there"));
  page("https://www.example.com/there", "both.html");
  page(kHost, "both.html");
  EXPECT_THAT(images(kWebRef), ElementsAre(kWebImage));

  client_.put(kWeb, test::redirectPage("http://www.example.com/there"));
  EXPECT_EQ(failure([&] { images(kWebRef); }),
            "251: getting https://example.com/web?ac-discovery=1: "
            "https://example.com/web?ac-discovery=1 redirects from https to "
            "http://www.example.com/there; the server must redirect to an https URL");
  client_.put(kWeb, test::redirectPage(kWeb));
  EXPECT_THAT(failure([&] { images(kWebRef); }),
              ::testing::AllOf(::testing::StartsWith("251: "),
                               ::testing::HasSubstr("redirects in a loop")));
}

TEST_F(DiscoverTest, CredentialsDoNotFollowARedirect) {
  net::AuthConfig auth;
  auth.set("example.com", net::BasicAuth{"me", "secret"});
  client_ = test::FakeHttpClient(auth);
  client_.put(kWeb, test::redirectPage("https://thief.example/"));
  client_.put("https://thief.example/",
              {.body = "", .authorization = test::basicAuthorization("me", "secret")});
  page(kHost, "both.html");
  EXPECT_THAT(failure([&] { images(kWebRef); }),
              ::testing::AllOf(::testing::StartsWith("251: "),
                               ::testing::HasSubstr("those of example.com are not sent there")));
  EXPECT_EQ(client_.seen().size(), 2U);
  EXPECT_TRUE(client_.seen()[0].headers.contains("authorization"));
  EXPECT_FALSE(client_.seen()[1].headers.contains("authorization"));
}

TEST_F(DiscoverTest, LargeAndExpensivePagesAreNoAnswer) {
  page(kHost, "both.html");
  client_.put(kWeb, std::string((1 << 20) + 1, ' '));
  EXPECT_THAT(failure([&] { images(kWebRef); }),
              ::testing::AllOf(::testing::StartsWith("251: "),
                               ::testing::HasSubstr("at most 1.0 MiB are accepted")));
  std::string metas;
  for (int i = 0; i < 257; ++i)
    metas += "<meta name=ac-discovery content='example.com https://h/{ext}'>";
  client_.put(kWeb, metas);
  EXPECT_THAT(failure([&] { images(kWebRef); }),
              ::testing::AllOf(::testing::StartsWith("251: "),
                               ::testing::HasSubstr("more than 256 discovery tags")));
}

TEST_F(DiscoverTest, UnauthorizedNamesTheConfiguration) {
  status(kWeb, 401);
  EXPECT_EQ(failure([&] { images(kWebRef); }),
            "251: https://example.com/web?ac-discovery=1: status 401, it asks for credentials; "
            "https://example.com?ac-discovery=1: status 404; credentials for example.com go into "
            "a file of auth.d (rktKind \"auth\")");
  // It is a 4xx all the same: the parent may announce what is not secret.
  page(kHost, "both.html");
  EXPECT_THAT(images(kWebRef), ElementsAre(kWebImage));
}

TEST_F(DiscoverTest, HttpIsAskedOnlyWhenAllowedAndAfterHttps) {
  const std::string plain = "http://example.com/web?ac-discovery=1";
  page(plain, "both.html");
  EXPECT_THAT(failure([&] { images(kWebRef); }), ::testing::StartsWith("252: "));
  EXPECT_THAT(client_.seenUrls(), ElementsAre(kWeb, kHostSeen));

  options_.allowHttp = true;
  EXPECT_THAT(images(kWebRef), ElementsAre(kWebImage));
  EXPECT_THAT(client_.seenUrls(), ElementsAre(kWeb, kHostSeen, kWeb, plain));
  page(kWeb, "images_only.html");
  EXPECT_THAT(images(kWebRef), ElementsAre(kWebImage));
  EXPECT_EQ(client_.seenUrls().back(), kWeb);
  client_.fail(kWeb, "connection refused");
  EXPECT_THAT(images(kWebRef), ElementsAre(kWebImage));
  EXPECT_EQ(client_.seenUrls().back(), plain);
}

TEST_F(DiscoverTest, PlainHttpWithoutAnswerDoesNotUndoAnAnswerOfHttps) {
  options_.allowHttp = true;
  client_.fail("http://example.com/web?ac-discovery=1", "connection refused");
  page(kHost, "both.html");
  EXPECT_THAT(images(kWebRef), ElementsAre(kWebImage));
}

TEST_F(DiscoverTest, RequestsCarryThePolicy) {
  page(kWeb, "both.html");
  images(kWebRef);
  EXPECT_FALSE(client_.seen()[0].request.allowHttp);
  EXPECT_TRUE(client_.seen()[0].request.verifyTls);
  EXPECT_EQ(client_.seen()[0].request.maxBytes, std::uint64_t{1} << 20);
  EXPECT_GT(client_.seen()[0].request.totalTimeout.count(), 0);

  options_.verifyTls = false;
  options_.port = 8443;
  page("https://example.com:8443/web?ac-discovery=1", "both.html");
  EXPECT_THAT(images(kWebRef), ElementsAre(kWebImage));
  EXPECT_FALSE(client_.seen()[1].request.verifyTls);
}

}  // namespace
}  // namespace actool::discovery
