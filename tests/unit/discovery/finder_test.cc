// Mirrors and origins together.
#include "discovery/finder.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/base/fs.h"
#include "tests/support/fake_http.h"

namespace actool::discovery {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kMirror = "https://mirror.test/sub";
constexpr const char* kSecond = "https://second.test";

std::string tags(const std::string& lines) {
  return "<!DOCTYPE html><html><head>" + lines + "</head></html>";
}

std::string imageTag(const std::string& prefix, const std::string& urlTemplate) {
  return fmt::format("<meta name=\"ac-discovery\" content=\"{} {}\">", prefix, urlTemplate);
}

class FinderTest : public ::testing::Test {
 protected:
  FinderTest() {
    mirrors_.set("example.com", {{kMirror, kSecond}, false});
    http_.put("https://example.com/web?ac-discovery=1",
              tags(imageTag("example.com/web", "https://example.com/{name}-{version}.{ext}") +
                   "<meta name=\"ac-discovery-pubkeys\" content=\"example.com/web "
                   "https://example.com/keys.asc\">"));
  }
  void mirrorPage(const std::string& base, const std::string& name, const std::string& lines) {
    http_.put(fmt::format("{}/{}?ac-discovery=1", base, name), tags(lines));
  }
  record::Discovered images(const std::string& ref) {
    Finder finder(http_, {}, mirrors_);
    return finder.images(schema::AppRef::parse(ref));
  }
  static std::vector<std::string> urls(const record::Discovered& found) {
    std::vector<std::string> all;
    for (const record::Endpoint& endpoint : found.endpoints)
      all.push_back(endpoint.aci);
    return all;
  }
  template <typename Fn>
  std::string failure(Fn&& call) {
    try {
      call();
    } catch (const Error& error) {
      return fmt::format("{}: {}", static_cast<int>(error.code()), error.what());
    }
    return "no error";
  }

  test::FakeHttpClient http_;
  MirrorConfig mirrors_;
};

TEST_F(FinderTest, MirrorsComeInTheirOrderAndTheOriginIsLeftAlone) {
  mirrorPage(kMirror, "example.com/web",
             imageTag("example.com/web", "https://mirror.test/x/{name}/{version}.{ext}"));
  mirrorPage(kSecond, "example.com",
             imageTag("example.com", "https://second.test/{name}-{version}.{ext}"));
  const record::Discovered found = images("example.com/web:1.0.0");
  EXPECT_THAT(urls(found), ElementsAre("https://mirror.test/x/example.com/web/1.0.0.aci",
                                       "https://second.test/example.com/web-1.0.0.aci"));
  EXPECT_EQ(found.endpoints[0].mirror, kMirror);
  EXPECT_EQ(found.endpoints[1].mirror, kSecond);
  EXPECT_TRUE(found.askOrigin);
  EXPECT_THAT(found.keys, IsEmpty());
  for (const std::string& url : http_.seenUrls())
    EXPECT_THAT(url, ::testing::Not(HasSubstr("//example.com")));
}

TEST_F(FinderTest, TheOriginIsAskedWhenNoMirrorKnowsTheName) {
  http_.fail("https://mirror.test/sub/example.com/web?ac-discovery=1", "no connection");
  const record::Discovered found = images("example.com/web:1.0.0");
  EXPECT_THAT(urls(found), ElementsAre("https://example.com/example.com/web-1.0.0.aci"));
  EXPECT_FALSE(found.askOrigin);
  EXPECT_EQ(found.endpoints[0].mirror, "");
  EXPECT_THAT(found.keys, ElementsAre("https://example.com/keys.asc"));
}

TEST_F(FinderTest, OnlyMeansThatTheOriginIsNeverAsked) {
  mirrors_.set("example.com", {{kMirror}, true});
  EXPECT_THAT(
      failure([&] { images("example.com/web:1.0.0"); }),
      ::testing::AllOf(HasSubstr("252: mirror https://mirror.test/sub: no ac-discovery tag"),
                       HasSubstr("lets nobody else be asked")));
  EXPECT_THAT(failure([&] {
                Finder(http_, {}, mirrors_).keys(schema::AcIdentifier::parse("example.com/web"));
              }),
              HasSubstr("252: the public keys of example.com/web are announced by its own pages"));
  http_.fail("https://mirror.test/sub/example.com/web?ac-discovery=1", "no connection");
  EXPECT_THAT(failure([&] { images("example.com/web:1.0.0"); }), HasSubstr("251: mirror"));
  for (const std::string& url : http_.seenUrls())
    EXPECT_THAT(url, ::testing::Not(HasSubstr("//example.com")));
}

TEST_F(FinderTest, OnlyIsSaidInTheRecord) {
  mirrors_.set("example.com", {{kMirror}, true});
  mirrorPage(kMirror, "example.com/web",
             imageTag("example.com/web", "https://mirror.test/{version}.{ext}"));
  EXPECT_FALSE(images("example.com/web:1.0.0").askOrigin);
}

TEST_F(FinderTest, AMirrorLeadsToNoOtherHost) {
  mirrorPage(kMirror, "example.com/web",
             imageTag("example.com/web", "https://internal.test/{name}.{ext}") +
                 imageTag("example.com/web", "https://mirror.test:8443/{name}.{ext}") +
                 imageTag("example.com/web", "torrent+https://mirror.test/{name}.{ext}") +
                 imageTag("example.com/web", "https://mirror.test.evil.test/{name}.{ext}"));
  EXPECT_THAT(urls(images("example.com/web:1.0.0")),
              ElementsAre("torrent+https://mirror.test/example.com/web.aci"));
}

TEST_F(FinderTest, KeysAreNeverThoseOfAMirror) {
  mirrorPage(kMirror, "example.com/web",
             "<meta name=\"ac-discovery-pubkeys\" content=\"example.com/web "
             "https://mirror.test/evil.asc\">");
  Finder finder(http_, {}, mirrors_);
  EXPECT_THAT(finder.keys(schema::AcIdentifier::parse("example.com/web")),
              ElementsAre("https://example.com/keys.asc"));
}

class VersionsTest : public FinderTest {
 protected:
  void list(const std::string& base, const std::string& url, const std::string& content) {
    mirrorPage(
        base, "example.com/web",
        fmt::format("<meta name=\"ac-discovery-versions\" content=\"example.com/web {}\">", url));
    http_.put(url, content);
  }
  record::Versions versions() {
    Finder finder(http_, {}, mirrors_);
    return finder.versions(schema::AcIdentifier::parse("example.com/web"));
  }
  static constexpr const char* kList =
      R"({"kind":"versions","name":"example.com/web","images":[{"labels":{"version":"1.0.0"}}]})";
};

TEST_F(VersionsTest, OfTheFirstMirrorThatHasAList) {
  list(kSecond, "https://second.test/v.json", kList);
  EXPECT_EQ(versions().images.size(), 1U);
}

TEST_F(VersionsTest, OfTheOriginWhenNoMirrorHasOne) {
  list("https://example.com", "https://example.com/v.json", kList);
  http_.put("https://example.com/web?ac-discovery=1",
            tags("<meta name=\"ac-discovery-versions\" content=\"example.com/web "
                 "https://example.com/v.json\">"));
  EXPECT_EQ(versions().images.size(), 1U);
}

TEST_F(VersionsTest, AListOfAnotherNameIsPassedOver) {
  list(kMirror, "https://mirror.test/v.json",
       R"({"kind":"versions","name":"example.com/other","images":[]})");
  EXPECT_THAT(failure([&] { versions(); }), HasSubstr("252: no ac-discovery-versions tag"));
  mirrors_.set("example.com", {{kMirror}, true});
  EXPECT_THAT(failure([&] { versions(); }),
              HasSubstr("it lists the versions of example.com/other"));
}

// --- the configuration ---

class MirrorConfigTest : public ::testing::Test {
 protected:
  void write(const std::string& dir, const std::string& file, const std::string& content) {
    makeDirs(dir_.path() / dir / "mirrors.d");
    writeFilePlain(dir_.path() / dir / "mirrors.d" / file,
                   R"({"rktKind":"mirrors","rktVersion":"v1",)" + content + "}");
  }
  MirrorConfig load() {
    return MirrorConfig::load({{dir_.path() / "system", dir_.path() / "local"}});
  }
  std::vector<std::string> bases(const std::string& name) {
    const MirrorConfig config = load();
    const MirrorRule* rule = config.find(schema::AcIdentifier::parse(name));
    return rule == nullptr ? std::vector<std::string>{} : rule->bases;
  }
  std::string failure() {
    try {
      load();
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }
  TempDir dir_{tempRoot()};
};

TEST_F(MirrorConfigTest, LongestPrefixByComponent) {
  write("system", "a.json", R"("prefixes":["quay.io"],"mirrors":["https://a.test/"])");
  write("system", "b.json", R"("prefixes":["quay.io/team"],"mirrors":["https://b.test/x/"])");
  EXPECT_THAT(bases("quay.io/team/app"), ElementsAre("https://b.test/x"));
  EXPECT_THAT(bases("quay.io/teamwork"), ElementsAre("https://a.test"));
  EXPECT_THAT(bases("quay.iox/team"), IsEmpty());
}

TEST_F(MirrorConfigTest, EveryName) {
  write("system", "a.json", R"("prefixes":["*"],"mirrors":["https://a.test"],"only":true)");
  EXPECT_THAT(bases("example.com/web"), ElementsAre("https://a.test"));
}

TEST_F(MirrorConfigTest, HigherDirectoriesOverrideAndMask) {
  write("system", "a.json", R"("prefixes":["quay.io","example.com"],"mirrors":["https://a.test"])");
  write("local", "z.json", R"("prefixes":["quay.io"],"mirrors":["https://b.test"])");
  write("local", "m.json", R"("prefixes":["example.com"],"mirrors":[])");
  EXPECT_THAT(bases("quay.io/x"), ElementsAre("https://b.test"));
  EXPECT_THAT(bases("example.com/x"), IsEmpty());
}

TEST_F(MirrorConfigTest, Refusals) {
  write("system", "a.json", R"("prefixes":["quay.io"],"mirrors":["ftp://a.test"])");
  EXPECT_THAT(failure(), HasSubstr("its scheme is neither http nor https"));
  write("system", "a.json", R"("prefixes":["quay.io"],"mirrors":["https://u:p@a.test"])");
  EXPECT_THAT(failure(), HasSubstr("put the credentials into auth.d"));
  write("system", "a.json", R"("prefixes":["quay.io"],"mirrors":[],"only":true)");
  EXPECT_THAT(failure(), HasSubstr("\"only\" without a mirror"));
  write("system", "a.json", R"("prefixes":[],"mirrors":[])");
  EXPECT_THAT(failure(), HasSubstr("\"prefixes\" should be a list of names"));
  write("system", "a.json", R"("prefixes":["https://quay.io"],"mirrors":[])");
  EXPECT_THAT(failure(), HasSubstr("is no name"));
  write("system", "a.json", R"("prefixes":["quay.io"],"mirrors":[])");
  write("system", "b.json", R"("prefixes":["quay.io"],"mirrors":[])");
  EXPECT_THAT(failure(), HasSubstr("the prefix \"quay.io\" is in"));
}

}  // namespace
}  // namespace actool::discovery
