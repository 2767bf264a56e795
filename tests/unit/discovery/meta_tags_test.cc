#include "discovery/meta_tags.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "core/base/error.h"
#include "core/base/fs.h"

namespace actool::discovery {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr auto kImage = MetaTag::Kind::image;
constexpr auto kKeys = MetaTag::Kind::keys;

std::string page(const std::string& file) {
  return readFile(Path(ACTOOL_TESTDATA) / "discovery" / file, 1 << 20);
}

std::string pageFailure(const std::string& html, const HtmlLimits& limits = {}) {
  try {
    extractMetaTags(html, limits);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

std::string repeated(std::size_t count, const std::string& text) {
  std::string result;
  for (std::size_t i = 0; i < count; ++i)
    result += text;
  return result;
}

TEST(MetaTags, UsualPage) {
  EXPECT_THAT(extractMetaTags(page("both.html")),
              ElementsAre(MetaTag{kImage, "example.com",
                                  "https://images.example.com/{os}/{arch}/{name}-{version}.{ext}"},
                          MetaTag{kKeys, "example.com", "https://example.com/keys.asc"}));
}

TEST(MetaTags, PagesInTheWildMeanWhatABrowserReads) {
  EXPECT_THAT(
      extractMetaTags(page("wild.html")),
      ElementsAre(MetaTag{kImage, "example.com", "https://upper.example/{name}.{ext}"},
                  MetaTag{kImage, "example.com", "https://entities.example/?a=1&b={name}.{ext}"},
                  MetaTag{kKeys, "example.com", "https://body.example/keys"},
                  MetaTag{kImage, "example.com", "https://table.example/{ext}"}));
}

TEST(MetaTags, NothingThatIsHtml) {
  EXPECT_THAT(extractMetaTags(""), IsEmpty());
  EXPECT_THAT(extractMetaTags("<"), IsEmpty());
  EXPECT_THAT(extractMetaTags("{\"json\": true}"), IsEmpty());
  EXPECT_THAT(extractMetaTags(std::string("\0\xff\xfe<meta", 8)), IsEmpty());
}

TEST(MetaTags, UnfinishedTagIsNone) {
  EXPECT_THAT(extractMetaTags("<meta name=ac-discovery content='a b'"), IsEmpty());
}

TEST(MetaTags, ForeignElementsOfThatNameAreNotMeta) {
  // In SVG an element "meta" leaves the drawing and becomes HTML; in a foreign title it does too.
  EXPECT_THAT(extractMetaTags("<svg><desc><meta name=ac-discovery content='a b'></desc></svg>"),
              ElementsAre(MetaTag{kImage, "a", "b"}));
}

TEST(MetaTags, LargePageIsRefused) {
  EXPECT_EQ(pageFailure(std::string((1 << 20) + 1, 'x')), "the page is larger than 1.0 MiB");
}

TEST(MetaTags, TooManyTagsAreCutOff) {
  const std::string meta = "<meta name=ac-discovery content='a b'>";
  HtmlLimits limits;
  limits.tags = 10;
  EXPECT_THAT(extractMetaTags(repeated(9, "<br></i>a < b") + meta + meta, limits), SizeIs(1));
  EXPECT_THAT(extractMetaTags(repeated(10, "<br>") + meta, limits), IsEmpty());
}

TEST(MetaTags, TooManyDiscoveryTagsAreRefused) {
  const std::string meta = "<meta name=ac-discovery content='a b'>";
  EXPECT_THAT(extractMetaTags(repeated(256, meta)), SizeIs(256));
  EXPECT_EQ(pageFailure(repeated(257, meta)), "the page has more than 256 discovery tags");
}

TEST(MetaTags, LongContentIsNotTaken) {
  const auto tag = [](std::size_t bytes) {
    return "<meta name=ac-discovery content='a " + std::string(bytes - 2, 'x') + "'>";
  };
  EXPECT_THAT(extractMetaTags(tag(4096)), SizeIs(1));
  EXPECT_THAT(extractMetaTags(tag(4097)), IsEmpty());
}

TEST(MetaTags, DeepNestingNeedsNoStack) {
  HtmlLimits limits;
  limits.tags = 200'000;
  limits.cpu = std::chrono::minutes(5);
  // 20,000 levels: freeing or walking them by recursion would need megabytes of stack.
  const std::string html = repeated(20'000, "<dl>") + "<meta name=ac-discovery content='a b'>";
  EXPECT_THAT(extractMetaTags(html, limits), SizeIs(1));
}

TEST(MetaTags, MultiplyingElementsRunOutOfMemory) {
  // Each paragraph opens all of the unclosed elements again: 2000 * 2000 of them.
  std::string html = "<p>";
  for (int i = 0; i < 2000; ++i)
    html += fmt::format("<b a={}>", i);
  html += repeated(2000, "<p>x");
  EXPECT_EQ(pageFailure(html), "the page's HTML needs more than 64.0 MiB of memory");
}

TEST(MetaTags, QuadraticAttributesRunOutOfTime) {
  std::string html = "<p";
  for (int i = 0; i < 120'000; ++i)
    html += fmt::format(" {:x}", 0xa0000 + i);
  HtmlLimits limits;
  limits.cpu = std::chrono::milliseconds(50);
  EXPECT_EQ(pageFailure(html + ">", limits),
            "the page's HTML needs more than 50 ms of processor time");
}

// The costliest pages that are known, at the limits: a text under as many open elements as
// there may be, and a tag of nothing but attributes.
TEST(MetaTags, HostilePagesEndInBoundedTime) {
  const HtmlLimits limits;
  std::string deep = repeated(limits.tags - 1, "<div>") + "<b>";
  deep += std::string(limits.bytes - deep.size(), 'x');
  std::string attributes = "<p";
  for (int i = 0; attributes.size() < limits.bytes - 8; ++i)
    attributes += fmt::format(" {:x}", 0xa0000 + i);
  for (const std::string& html : {deep, attributes}) {
    const std::clock_t before = std::clock();
    try {
      extractMetaTags(html, limits);
    } catch (const Error&) {
      // The time limit; what counts here is that it came.
    }
    // Far above what is taken, far below the minutes these take without the limits.
    EXPECT_LT(static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC, 60);
  }
}

}  // namespace
}  // namespace actool::discovery
