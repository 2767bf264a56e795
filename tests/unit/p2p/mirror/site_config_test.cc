#include "p2p/mirror/site_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"

namespace actool::mirror {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string file(const std::string& members) {
  return R"({"rktKind":"mirror","rktVersion":"v1","url":"https://m.test/",)" + members + "}";
}

std::string failure(const std::string& text) {
  try {
    SiteConfig::parse(text, "mirror.json");
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(SiteConfigTest, Whole) {
  const SiteConfig config = SiteConfig::parse(
      file(R"("torrents":true,"trackers":["https://t.test/"],"names":[{"name":"a.b/c",)"
           R"("versions":["1.0.0","2.*"],"platforms":["linux/amd64"],"keep":3,)"
           R"("dependencies":false},{"name":"a.b/d"}])"),
      "mirror.json");
  EXPECT_EQ(config.url, "https://m.test");
  EXPECT_TRUE(config.torrents);
  ASSERT_EQ(config.names.size(), 2U);
  EXPECT_EQ(config.names[0].keep, 3U);
  EXPECT_FALSE(config.names[0].dependencies);
  EXPECT_EQ(config.names[0].platforms.at(0).arch, "amd64");
  EXPECT_THAT(config.names[1].versions, ElementsAre("latest"));
  EXPECT_EQ(SiteConfig::parse(config.toJson().dump(), "again").toJson(), config.toJson());
}

TEST(SiteConfigTest, Refusals) {
  EXPECT_THAT(failure("{}"), HasSubstr("mirror.json: "));
  EXPECT_THAT(failure(R"({"rktKind":"auth","rktVersion":"v1"})"), HasSubstr("no mirror's"));
  EXPECT_THAT(failure(file(R"("names":[{"name":"a.b"},{"name":"a.b"}])")), HasSubstr("twice"));
  EXPECT_THAT(failure(file(R"("names":[{"name":"A"}])")), HasSubstr("names: [0]"));
  EXPECT_THAT(failure(file(R"("names":[{"name":"a.b","platforms":["linux"]}])")),
              HasSubstr("platforms: [0]"));
  EXPECT_THAT(failure(file(R"("names":[{"name":"a.b","versions":[""]}])")),
              HasSubstr("an empty version"));
  EXPECT_THAT(failure(file(R"("nmaes":[])")), HasSubstr("nmaes"));
}

TEST(SiteConfigTest, Urls) {
  EXPECT_EQ(checkedSiteUrl("https://m.test//"), "https://m.test");
  EXPECT_EQ(checkedSiteUrl("https://m.test:8443/sub"), "https://m.test:8443/sub");
  for (const std::string bad : {"m.test", "ftp://m.test", "https://", "https:///x",
                                "https://m.test/?q", "https://u@m.test", "https://m.test/<"})
    EXPECT_THROW(checkedSiteUrl(bad), UsageError) << bad;
}

}  // namespace
}  // namespace actool::mirror
