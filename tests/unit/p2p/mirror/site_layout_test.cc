#include "p2p/mirror/site_layout.h"

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "p2p/mirror/page.h"
#include "p2p/mirror/site_pages.h"

namespace actool::mirror {
namespace {

schema::AcIdentifier nameOf(std::string_view text) {
  return schema::AcIdentifier::parse(text);
}

schema::Labels labels(const std::string& json) {
  return schema::Labels::fromObject(parseJson(json, "labels"));
}

TEST(SiteLayoutTest, PathsAndTemplatesAgree) {
  const auto all = labels(R"({"version":"1.0.0+git","os":"linux","arch":"amd64"})");
  EXPECT_EQ(imagePath(nameOf("a.b/c"), all), "os-arch/a.b/c/1.0.0+git/linux/amd64");
  EXPECT_EQ(imageTemplate(all), "os-arch/{name}/{version}/{os}/{arch}");
  EXPECT_EQ(imagePath(nameOf("a.b"), labels(R"({"os":"linux"})")), "os/a.b/latest/linux");
  EXPECT_EQ(imagePath(nameOf("a.b"), labels(R"({"version":"1"})")), "any/a.b/1");
  EXPECT_EQ(imageTemplate(labels("{}")), "any/{name}/{version}");
}

TEST(SiteLayoutTest, ValuesThatAreNoPathComponent) {
  for (const std::string bad : {"..", ".", ".x", "_r", "a/b", "a b", "", "a%2fb", "a\\nb", "é"}) {
    const auto wrong = schema::Labels::make({{nameOf("version"), bad == "a\\nb" ? "a\nb" : bad}});
    EXPECT_THROW(imagePath(nameOf("a.b"), wrong), Error) << bad;
  }
  EXPECT_THROW(
      imagePath(nameOf("a.b"), schema::Labels::make({{nameOf("version"), std::string(300, 'x')}})),
      Error);
}

TEST(SiteLayoutTest, Revisions) {
  const std::string revision(32, 'a');
  EXPECT_EQ(revisionOfTarget(pageTarget(revision)), revision);
  for (const std::string bad : {"", "_r/", "_r//index.html", "_r/index.html", "../x/index.html",
                                "_r/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA/index.html"})
    EXPECT_FALSE(revisionOfTarget(bad)) << bad;
}

TEST(SitePagesTest, ListsOfParentsAndAliasesOfTheOwnHost) {
  SiteConfig config;
  config.url = "https://m.test:8443";
  const PagesBesideNames pages(config,
                               {nameOf("m.test/app"), nameOf("q.io/t/a"), nameOf("q.io/t/a/b")});
  EXPECT_EQ(pages.lists().at(""), (std::set<std::string>{"m.test", "q.io"}));
  EXPECT_EQ(pages.lists().at("q.io"), (std::set<std::string>{"t"}));
  EXPECT_EQ(pages.lists().at("q.io/t"), (std::set<std::string>{"a"}));
  EXPECT_FALSE(pages.lists().contains("q.io/t/a"));
  ASSERT_EQ(pages.aliases().size(), 1U);
  EXPECT_EQ(pages.aliases().at("app").str(), "m.test/app");
  config.url = "https://m.test/sub";
  EXPECT_TRUE(PagesBesideNames(config, {nameOf("m.test/app")}).aliases().empty());
}

TEST(PageTest, NothingFromOutsideIsMarkup) {
  const record::Versions versions{
      nameOf("a.b"), {{.labels = schema::Labels::make({{nameOf("version"), "\"><script>&"}})}}};
  const std::string page = namePage(versions, {{"https://m.test/\"><script>"}, {}, "v"});
  EXPECT_EQ(page.find("<script>"), std::string::npos) << page;
}

}  // namespace
}  // namespace actool::mirror
