#include "discovery/discover.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "tests/unit/discovery/scripted_client.h"

namespace actool::discovery {
namespace {

using ::testing::ElementsAre;

const std::string kHost = "https://example.com?ac-discovery=1";
const std::string kWeb = "https://example.com/web?ac-discovery=1";
const std::string kWebAdmin = "https://example.com/web/admin?ac-discovery=1";

const std::string kWebRef = "example.com/web:1.0.0,os=linux,arch=amd64";
const std::string kWebImage = "https://images.example.com/linux/amd64/example.com/web-1.0.0.aci";

class DiscoverTest : public ::testing::Test {
 protected:
  std::vector<std::string> images(const std::string& ref) {
    std::vector<std::string> urls;
    Discoverer discoverer(client, options);
    for (const record::Endpoint& endpoint : discoverer.images(schema::AppRef::parse(ref))) {
      EXPECT_EQ(endpoint.asc, endpoint.aci + ".asc");
      urls.push_back(endpoint.aci);
    }
    return urls;
  }

  std::vector<std::string> keys(const std::string& name) {
    return Discoverer(client, options).keys(schema::AcIdentifier::parse(name));
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

  ScriptedClient client;
  Options options;
};

TEST_F(DiscoverTest, PageOfTheNameItself) {
  client.page(kWeb, "both.html");
  EXPECT_THAT(images(kWebRef), ElementsAre(kWebImage));
  EXPECT_THAT(client.urls(), ElementsAre(kWeb));
  EXPECT_THAT(keys("example.com/web"), ElementsAre("https://example.com/keys.asc"));
}

TEST_F(DiscoverTest, WalksUpOn4xxAndOnPagesWithoutTags) {
  client.status(kWebAdmin, 410);
  client.text(kWeb, "<!doctype html><title>nothing here</title>");
  client.page(kHost, "both.html");
  EXPECT_THAT(images("example.com/web/admin:2,os=linux,arch=amd64"),
              ElementsAre("https://images.example.com/linux/amd64/example.com/web/admin-2.aci"));
  EXPECT_THAT(client.urls(), ElementsAre(kWebAdmin, kWeb, kHost));
}

TEST_F(DiscoverTest, NothingOnTheWholeWay) {
  client.page("https://example.com/elsewhere?ac-discovery=1", "both.html");
  client.text(kHost, "hello");
  EXPECT_EQ(failure([&] { images(kWebRef); }),
            "252: no ac-discovery tag for it found; tried https://example.com/web?ac-discovery=1: "
            "status 404; https://example.com?ac-discovery=1: no ac-discovery tag; is the name "
            "right, and does example.com announce it?");
}

TEST_F(DiscoverTest, ImagesAndKeysHaveAWalkEach) {
  client.page(kHost, "images_only.html");
  client.page(kWeb, "keys_only.html");
  EXPECT_THAT(images(kWebRef), ElementsAre(kWebImage));
  EXPECT_THAT(keys("example.com/web"), ElementsAre("https://example.com/keys.asc"));

  client.page(kHost, "keys_only.html");
  client.page(kWeb, "images_only.html");
  EXPECT_THAT(images(kWebRef), ElementsAre(kWebImage));
  EXPECT_THAT(keys("example.com/web"), ElementsAre("https://example.com/keys.asc"));

  client.page(kHost, "images_only.html");
  EXPECT_THAT(images(kWebRef), ElementsAre(kWebImage));
  EXPECT_EQ(failure([&] { keys("example.com/web"); }),
            "252: no ac-discovery-pubkeys tag for it found; tried "
            "https://example.com/web?ac-discovery=1: no ac-discovery-pubkeys tag; "
            "https://example.com?ac-discovery=1: no ac-discovery-pubkeys tag; is the name right, "
            "and does example.com announce it?");
}

TEST_F(DiscoverTest, NearestPageThatServesWins) {
  client.page(kHost, "other_place.html");
  client.page(kWeb, "images_only.html");
  EXPECT_THAT(images(kWebRef), ElementsAre(kWebImage));
  EXPECT_THAT(keys("example.com/web"), ElementsAre("https://example.com/other-keys.asc"));
}

TEST_F(DiscoverTest, PagesAreFetchedOnce) {
  client.page(kHost, "both.html");
  Discoverer discoverer(client, options);
  discoverer.images(schema::AppRef::parse(kWebRef));
  discoverer.keys(schema::AcIdentifier::parse("example.com/web"));
  discoverer.images(schema::AppRef::parse("example.com/api:1,os=linux,arch=amd64"));
  EXPECT_THAT(client.urls(), ElementsAre(kWeb, kHost, "https://example.com/api?ac-discovery=1"));
}

TEST_F(DiscoverTest, EveryMatchingTemplateInTheOrderOfThePage) {
  client.page(kWeb, "several.html");
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
  client.page("https://example.com/webserver?ac-discovery=1", "several.html");
  // The third template is for example.com/web alone.
  EXPECT_THAT(
      images("example.com/webserver:1.0.0"),
      ElementsAre("torrent+https://images.example.com/example.com/webserver-1.0.0.torrent#aci"));
  EXPECT_THAT(keys("example.com/webserver"), ElementsAre("https://example.com/keys.asc"));

  client.text(kHost, "<meta name=ac-discovery content='example.c https://h/{ext}'>");
  EXPECT_THAT(failure([&] { images("example.com"); }),
              ::testing::HasSubstr(": its ac-discovery tag is for \"example.c\"; "));
  client.text(kHost, "<meta name=ac-discovery content='example.com/ https://h/{ext}'>");
  EXPECT_THAT(images("example.com"), ElementsAre("https://h/aci"));
}

TEST_F(DiscoverTest, VersionDefaultsToLatestAndOtherLabelsToNothing) {
  client.text(kWeb,
              "<meta name=ac-discovery content='example.com https://h/{name}-{version}-{os}.{ext}'>"
              "<meta name=ac-discovery content='example.com https://h/{name}-{version}.{ext}'>");
  EXPECT_THAT(images("example.com/web"), ElementsAre("https://h/example.com/web-latest.aci"));
}

TEST_F(DiscoverTest, TemplatesThatCannotBeUsedSendTheWalkOn) {
  client.text(kWeb, "<meta name=ac-discovery content='example.com https://h/{flavour}.{ext}'>");
  EXPECT_EQ(failure([&] { images(kWebRef); }),
            "252: no ac-discovery tag for it found; tried https://example.com/web?ac-discovery=1: "
            "the template needs {flavour}; https://example.com?ac-discovery=1: status 404; is the "
            "name right, and does example.com announce it?");
  client.page(kHost, "both.html");
  EXPECT_THAT(images(kWebRef), ElementsAre(kWebImage));
}

TEST_F(DiscoverTest, KeyUrlsThatAreNoneAreSkipped) {
  client.text(kWeb,
              "<meta name=ac-discovery-pubkeys content='example.com /keys.asc'>"
              "<meta name=ac-discovery-pubkeys content='example.com file:///etc/passwd'>"
              "<meta name=ac-discovery-pubkeys content='example.com https://h/keys.asc'>");
  EXPECT_THAT(keys("example.com/web"), ElementsAre("https://h/keys.asc"));
}

TEST_F(DiscoverTest, APageThatDoesNotAnswerEndsTheWalk) {
  client.page(kHost, "both.html");
  client.failure(kWeb, "the certificate is for another host");
  EXPECT_EQ(failure([&] { images("example.com/web/admin"); }),
            "251: https://example.com/web/admin?ac-discovery=1: status 404; "
            "https://example.com/web?ac-discovery=1: the certificate is for another host");
  client.status(kWeb, 503);
  EXPECT_EQ(failure([&] { keys("example.com/web"); }),
            "251: https://example.com/web?ac-discovery=1: status 503; try again later");
  client.status(kWeb, 204);
  EXPECT_EQ(failure([&] { images(kWebRef); }),
            "251: https://example.com/web?ac-discovery=1: status 204");
}

TEST_F(DiscoverTest, LargeAndExpensivePagesAreNoAnswer) {
  client.page(kHost, "both.html");
  client.text(kWeb, std::string((1 << 20) + 1, ' '));
  EXPECT_THAT(failure([&] { images(kWebRef); }),
              ::testing::AllOf(::testing::StartsWith("251: "),
                               ::testing::HasSubstr(": more than 1048576 bytes")));
  std::string metas;
  for (int i = 0; i < 257; ++i)
    metas += "<meta name=ac-discovery content='example.com https://h/{ext}'>";
  client.text(kWeb, metas);
  EXPECT_THAT(failure([&] { images(kWebRef); }),
              ::testing::AllOf(::testing::StartsWith("251: "),
                               ::testing::HasSubstr("more than 256 discovery tags")));
}

TEST_F(DiscoverTest, UnauthorizedNamesTheConfiguration) {
  client.status(kWeb, 401);
  EXPECT_EQ(failure([&] { images(kWebRef); }),
            "251: https://example.com/web?ac-discovery=1: status 401, it asks for credentials; "
            "https://example.com?ac-discovery=1: status 404; credentials for example.com go into "
            "a file of auth.d (rktKind \"auth\")");
  // It is a 4xx all the same: the parent may announce what is not secret.
  client.page(kHost, "both.html");
  EXPECT_THAT(images(kWebRef), ElementsAre(kWebImage));
}

TEST_F(DiscoverTest, HttpIsAskedOnlyWhenAllowedAndAfterHttps) {
  const std::string plain = "http://example.com/web?ac-discovery=1";
  client.page(plain, "both.html");
  EXPECT_THAT(failure([&] { images(kWebRef); }), ::testing::StartsWith("252: "));
  EXPECT_THAT(client.urls(), ElementsAre(kWeb, kHost));
  client.requests.clear();

  options.allowHttp = true;
  EXPECT_THAT(images(kWebRef), ElementsAre(kWebImage));
  client.failure(kWeb, "connection refused");
  EXPECT_THAT(images(kWebRef), ElementsAre(kWebImage));
  client.page(kWeb, "images_only.html");
  EXPECT_THAT(images(kWebRef), ElementsAre(kWebImage));
  EXPECT_THAT(client.urls(), ElementsAre(kWeb, plain, kWeb, plain, kWeb));
}

TEST_F(DiscoverTest, PlainHttpWithoutAnswerDoesNotUndoAnAnswerOfHttps) {
  options.allowHttp = true;
  client.failure("http://example.com/web?ac-discovery=1", "connection refused");
  client.page(kHost, "both.html");
  EXPECT_THAT(images(kWebRef), ElementsAre(kWebImage));
}

TEST_F(DiscoverTest, RequestsCarryThePolicy) {
  client.page(kWeb, "both.html");
  images(kWebRef);
  EXPECT_FALSE(client.requests[0].allowHttp);
  EXPECT_TRUE(client.requests[0].verifyTls);
  EXPECT_EQ(client.requests[0].maxBytes, std::uint64_t{1} << 20);
  EXPECT_GT(client.requests[0].totalTimeout.count(), 0);

  options.verifyTls = false;
  options.port = 8443;
  client.page("https://example.com:8443/web?ac-discovery=1", "both.html");
  EXPECT_THAT(images(kWebRef), ElementsAre(kWebImage));
  EXPECT_FALSE(client.requests[1].verifyTls);
}

}  // namespace
}  // namespace actool::discovery
