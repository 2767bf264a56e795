// Identifiers, names, image IDs, versions and times: the cases of types.md and of appc's own
// tests (schema/types), and what they leave out.
#include <gtest/gtest.h>

#include "core/schema/identifier.h"
#include "core/schema/image_id.h"
#include "core/schema/semver.h"
#include "core/schema/timestamp.h"
#include "tests/support/errors.h"

namespace actool::schema {
namespace {

using test::messageOf;

TEST(AcIdentifier, TakesWhatTheSpecTakes) {
  for (const char* text :
       {"asdf", "foo-bar-baz", "zab_rab_oof", "database", "my~database", "example.com/database",
        "example.com/~bob/database", "example.com/ourapp-1.0.0", "example.com/~user/app_v1",
        "sub-domain.example.com/org/product/release-1.0.0", "0", "1.2.3",
        "sub-domain.example.com/org/product/~alice/release-1.0.0"}) {
    EXPECT_EQ(AcIdentifier::parse(text).str(), text);
    EXPECT_TRUE(AcIdentifier::tryParse(text)) << text;
  }
}

TEST(AcIdentifier, RefusesTheRest) {
  for (const char* text : {"",
                           "BAR",
                           "foo#",
                           "EXAMPLE.com",
                           "foo.com/BAR",
                           "/app",
                           "app/",
                           "-app",
                           "app-",
                           ".app",
                           "app.",
                           "_app",
                           "app_",
                           "~app",
                           "app~",
                           "a//b",
                           "a..b",
                           "a/../b",
                           "a/./b",
                           "a--b",
                           "a/~/b",
                           "a/~~b",
                           "a~/b",
                           "a b",
                           "a\nb",
                           "ex\xc3\xa4mple.com",
                           "a:b"}) {
    EXPECT_FALSE(AcIdentifier::tryParse(text)) << text;
    EXPECT_THROW(AcIdentifier::parse(text), Error) << text;
  }
  EXPECT_FALSE(AcIdentifier::tryParse(std::string_view("a\0b", 3)));
}

TEST(AcIdentifier, SaysWhatIsWrongWhere) {
  EXPECT_EQ(messageOf([] { AcIdentifier::parse(""); }), "the identifier \"\" is empty");
  EXPECT_EQ(messageOf([] { AcIdentifier::parse("foo.com/BAR"); }),
            "the identifier \"foo.com/BAR\" has \"B\" at position 9; only a-z, 0-9 and -._~/ are "
            "allowed");
  EXPECT_EQ(messageOf([] { AcIdentifier::parse("/app"); }),
            "the identifier \"/app\" begins with '/'; only a-z and 0-9 may stand there");
  EXPECT_EQ(messageOf([] { AcIdentifier::parse("app-"); }),
            "the identifier \"app-\" ends with '-'; only a-z and 0-9 may stand there");
  EXPECT_EQ(messageOf([] { AcIdentifier::parse("a/../b"); }),
            "the identifier \"a/../b\" has '.' after '/' at position 3; a letter or digit must "
            "stand between");
  EXPECT_EQ(messageOf([] { AcIdentifier::parse("a\x1b[2J"); }),
            "the identifier \"a\\x1b[2J\" has \"\\x1b\" at position 2; only a-z, 0-9 and -._~/ are "
            "allowed");
}

TEST(AcIdentifier, HasALimit) {
  EXPECT_TRUE(AcIdentifier::tryParse(std::string(1024, 'a')));
  EXPECT_FALSE(AcIdentifier::tryParse(std::string(1025, 'a')));
}

TEST(AcIdentifier, KnowsItsHost) {
  EXPECT_EQ(AcIdentifier::parse("example.com/a/b").host(), "example.com");
  EXPECT_EQ(AcIdentifier::parse("example.com").host(), "example.com");
}

TEST(AcName, TakesWhatTheSpecTakes) {
  for (const char* text : {"asdf", "foo-bar-baz", "database", "0", "product-database-release"}) {
    EXPECT_EQ(AcName::parse(text).str(), text);
  }
}

TEST(AcName, RefusesTheRest) {
  for (const char* text : {"", "foo#", "example.com", "EXAMPLE.com", "example/database",
                           "example/database-1.0.0", "foo.com/BAR", "example.com/app_1", "/app",
                           "app/", "-app", "app-", ".app", "app.", "a--b", "..", "a\n"}) {
    EXPECT_FALSE(AcName::tryParse(text)) << text;
    EXPECT_THROW(AcName::parse(text), Error) << text;
  }
}

TEST(AcName, Sanitizes) {
  const std::pair<const char*, const char*> cases[] = {
      {"foo#", "foo"},
      {"EXAMPLE.com", "example-com"},
      {"foo.com/BAR", "foo-com-bar"},
      {"example.com/app_1", "example-com-app-1"},
      {"/app", "app"},
      {"app/", "app"},
      {"app///", "app"},
      {"-/.app..", "app"},
      {"-/app.name-test/-/", "app-name-test"},
      {"sub-domain.example.com/org/product/release-1.0.0",
       "sub-domain-example-com-org-product-release-1-0-0"}};
  for (const auto& [in, out] : cases) {
    EXPECT_EQ(AcName::sanitize(in).str(), out);
  }
  for (const char* text : {"__", "..", "//", "", ".//-"}) {
    EXPECT_THROW(AcName::sanitize(text), Error) << text;
  }
}

TEST(ImageId, TakesTheFullFormOnly) {
  const std::string hex(128, 'a');
  const ImageId id = ImageId::parse("sha512-" + hex);
  EXPECT_EQ(id.hex(), hex);
  EXPECT_EQ(id.shortForm(), "sha512-aaaaaaaaaaaa");
  EXPECT_EQ(id.tarDigest().str(), "sha512:" + hex);
  EXPECT_EQ(ImageId::fromTarDigest(id.tarDigest()), id);
  for (const std::string& text :
       {std::string(), std::string("sha512-"), "sha512-" + std::string(127, 'a'),
        "sha512-" + std::string(129, 'a'), "sha512-" + std::string(128, 'A'),
        "sha512-" + std::string(128, 'g'), "sha256-" + std::string(128, 'a'),
        "sha512:" + std::string(128, 'a'), std::string("sha1-abcdef"), std::string("-abcdef")}) {
    EXPECT_FALSE(ImageId::tryParse(text)) << text;
  }
  EXPECT_EQ(messageOf([] { ImageId::parse("sha1-ab"); }),
            "\"sha1-ab\" is no image ID; an image ID is \"sha512-\" and 128 lower-case hex digits");
}

TEST(ImageId, IsNoOtherDigest) {
  const Digest sha256(DigestAlgorithm::sha256, std::string(64, 'a'));
  EXPECT_THROW(ImageId::fromTarDigest(sha256), Error);
}

TEST(ImageIdPrefix, MatchesByPrefix) {
  const ImageId id = ImageId::parse("sha512-" + std::string(128, 'a'));
  const auto prefix = ImageIdPrefix::tryParse("sha512-aa");
  ASSERT_TRUE(prefix);
  EXPECT_TRUE(prefix->matches(id));
  EXPECT_FALSE(prefix->isFull());
  EXPECT_TRUE(ImageIdPrefix::tryParse(id.str())->isFull());
  EXPECT_FALSE(ImageIdPrefix::tryParse("sha512-ab")->matches(id));
  for (const char* text : {"sha512-", "sha512-a", "sha512-AA", "sha512-zz", "aa", ""}) {
    EXPECT_FALSE(ImageIdPrefix::tryParse(text)) << text;
  }
}

TEST(SemVer, TakesSemanticVersions) {
  for (const char* text :
       {"0.0.0", "1.0.0", "3.2.1", "3.2.1-foo", "1.2.3-alpha+git", "0.8.11", "1.0.0-0.3.7",
        "1.0.0-x-y-z.--", "1.0.0+20130313144700", "1.0.0-beta+exp.sha.5114f85", "1.0.0+001",
        "18446744073709551615.0.0", "1.0.0-99999999999999999999999"}) {
    EXPECT_EQ(SemVer::parse(text).str(), text);
  }
}

TEST(SemVer, RefusesTheRest) {
  for (const char* text : {"",
                           "1",
                           "1.2",
                           "1.2.3.4",
                           "v1.2.3",
                           "01.2.3",
                           "1.02.3",
                           "1.2.03",
                           "1.2.3-",
                           "1.2.3-01",
                           "1.2.3-a..b",
                           "1.2.3+",
                           "1.2.3+a+b",
                           "1.2.3-\xc3\xa4",
                           "1.2.x",
                           "-1.2.3",
                           " 1.2.3",
                           "1.2.3 ",
                           "18446744073709551616.0.0",
                           "1..3"}) {
    EXPECT_FALSE(SemVer::tryParse(text)) << text;
  }
  EXPECT_EQ(messageOf([] { SemVer::parse("v1"); }),
            "\"v1\" is no semantic version; it should look like 1.2.3, 1.2.3-rc.1 or 1.2.3+build");
}

TEST(SemVer, ComparesByPrecedence) {
  const char* ascending[] = {"0.9.9",
                             "1.0.0-1",
                             "1.0.0-2",
                             "1.0.0-11",
                             "1.0.0-alpha",
                             "1.0.0-alpha.1",
                             "1.0.0-alpha.beta",
                             "1.0.0-beta",
                             "1.0.0-beta.2",
                             "1.0.0-beta.11",
                             "1.0.0-rc.1",
                             "1.0.0",
                             "1.0.1",
                             "1.1.0",
                             "2.0.0",
                             "10.0.0"};
  for (std::size_t i = 0; i < std::size(ascending); ++i) {
    for (std::size_t k = 0; k < std::size(ascending); ++k) {
      EXPECT_EQ(SemVer::parse(ascending[i]) < SemVer::parse(ascending[k]), i < k)
          << ascending[i] << " < " << ascending[k];
    }
  }
  EXPECT_EQ(SemVer::parse("1.0.0+a"), SemVer::parse("1.0.0+b"));
  EXPECT_LT(SemVer::parse("1.0.0-9"), SemVer::parse("1.0.0-99999999999999999999999"));
}

std::int64_t secondsOf(const char* text) {
  return std::chrono::floor<std::chrono::seconds>(Timestamp::parse(text).time())
      .time_since_epoch()
      .count();
}

TEST(Timestamp, TakesRfc3339) {
  EXPECT_EQ(secondsOf("2004-05-14T23:11:14+00:00"), 1084576274);
  EXPECT_EQ(secondsOf("2001-02-03T04:05:06Z"), 981173106);
  EXPECT_EQ(secondsOf("2014-11-14T17:36:54-08:00"), 1416015414);
  EXPECT_EQ(secondsOf("1970-01-01T05:30:00+05:30"), 0);
  EXPECT_EQ(Timestamp::parse("1970-01-01T00:00:00.25Z").time().time_since_epoch().count(),
            250'000'000);
  EXPECT_EQ(
      Timestamp::parse("1970-01-01T00:00:00.1234567899999Z").time().time_since_epoch().count(),
      123'456'789);
  EXPECT_EQ(Timestamp::parse("2014-10-27T19:32:27.67021798Z").str(),
            "2014-10-27T19:32:27.67021798Z");
  EXPECT_EQ(Timestamp::parse("2016-12-31T23:59:60Z"), Timestamp::parse("2017-01-01T00:00:00Z"));
  EXPECT_EQ(Timestamp::parse("2000-01-01T01:00:00+01:00"),
            Timestamp::parse("2000-01-01T00:00:00Z"));
}

TEST(Timestamp, KeepsTimesOutsideTheClock) {
  const Timestamp zero = Timestamp::parse("0001-01-01T00:00:00Z");
  EXPECT_EQ(zero.str(), "0001-01-01T00:00:00Z");
  EXPECT_LT(zero, Timestamp::parse("1970-01-01T00:00:00Z"));
  EXPECT_GT(Timestamp::parse("9999-12-31T23:59:59.999Z"), Timestamp::parse("2261-01-01T00:00:00Z"));
}

TEST(Timestamp, RefusesTheRest) {
  for (const char* text : {"",
                           "garbage",
                           "1416015188",
                           "Fri Nov 14 17:53:02 PST 2014",
                           "2014-11-1417:36:54",
                           "2014-11-14 17:36:54Z",
                           "2014-11-14T17:36:54",
                           "2014-11-14T17:36Z",
                           "2014-02-29T00:00:00Z",
                           "2014-13-01T00:00:00Z",
                           "2014-00-01T00:00:00Z",
                           "2014-01-32T00:00:00Z",
                           "2014-01-01T24:00:00Z",
                           "2014-01-01T00:60:00Z",
                           "2014-01-01T00:00:61Z",
                           "2014-01-01T12:00:60Z",
                           "2014-01-01T00:00:00.Z",
                           "2014-01-01T00:00:00+24:00",
                           "2014-01-01T00:00:00+0100",
                           "2014-01-01T00:00:00ZZ",
                           "-014-01-01T00:00:00Z",
                           "2014-01-01t00:00:00z",
                           "+014-01-01T00:00:00Z"}) {
    EXPECT_FALSE(Timestamp::tryParse(text)) << text;
  }
  EXPECT_EQ(messageOf([] { Timestamp::parse("yesterday"); }),
            "\"yesterday\" is no RFC 3339 time; it should look like 2015-05-18T13:49:28Z or "
            "2015-05-18T13:49:28.35-04:00");
}

}  // namespace
}  // namespace actool::schema
