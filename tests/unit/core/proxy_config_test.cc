// Which proxy a URL goes through, and that the real client goes there.
#include "core/net/proxy_config.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/base/fs.h"
#include "core/base/prefix_config.h"

namespace actool::net {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(PrefixesTest, FromTheNameToEverything) {
  EXPECT_THAT(prefixesOf("a.b/c/d"), ElementsAre("a.b/c/d", "a.b/c", "a.b", "*"));
  EXPECT_THAT(prefixesOf(""), ElementsAre("*"));
  EXPECT_THAT(prefixesOf("a//"), ElementsAre("a//", "a/", "a", "*"));
}

class ProxyConfigTest : public ::testing::Test {
 protected:
  void write(const std::string& dir, const std::string& file, const std::string& content) {
    makeDirs(dir_.path() / dir / "proxies.d");
    writeFilePlain(dir_.path() / dir / "proxies.d" / file,
                   R"({"rktKind":"proxies","rktVersion":"v1",)" + content + "}");
  }
  std::string proxyOf(const std::string& url) {
    const ProxyConfig config = ProxyConfig::load({{dir_.path() / "system", dir_.path() / "local"}});
    const std::string* proxy = config.find(Url::parse(url));
    return proxy == nullptr ? "environment" : *proxy;
  }
  std::string failure(const std::string& proxy) {
    write("system", "a.json", fmt::format(R"("prefixes":["a.test"],"proxy":"{}")", proxy));
    try {
      proxyOf("https://a.test/");
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }
  TempDir dir_{tempRoot()};
};

TEST_F(ProxyConfigTest, ByHostAndPath) {
  write("system", "a.json", R"("prefixes":["a.test"],"proxy":"http://proxy.test:3128")");
  write("system", "b.json", R"("prefixes":["a.test/near"],"proxy":"direct")");
  EXPECT_EQ(proxyOf("https://a.test/x"), "http://proxy.test:3128/");
  EXPECT_EQ(proxyOf("https://a.test"), "http://proxy.test:3128/");
  EXPECT_EQ(proxyOf("https://A.test:8443/x"), "http://proxy.test:3128/");
  EXPECT_EQ(proxyOf("https://a.test/near/x"), "");
  EXPECT_EQ(proxyOf("https://a.test/nearby"), "http://proxy.test:3128/");
  EXPECT_EQ(proxyOf("https://b.a.test/"), "environment");
}

TEST_F(ProxyConfigTest, HigherDirectoriesOverride) {
  write("system", "a.json", R"("prefixes":["*"],"proxy":"http://far.test:1")");
  write("local", "a.json", R"("prefixes":["*"],"proxy":"http://near.test:1/")");
  EXPECT_EQ(proxyOf("https://a.test/"), "http://near.test:1/");
}

TEST_F(ProxyConfigTest, Refusals) {
  EXPECT_THAT(failure("proxy.test:3128"), HasSubstr("\"proxy\": \"proxy.test:3128\""));
  EXPECT_THAT(failure("https://proxy.test"), HasSubstr("is no http proxy"));
  EXPECT_THAT(failure("http://proxy.test/x"), HasSubstr("has a path"));
  EXPECT_THAT(failure("http://u:p@proxy.test/"), HasSubstr("is no URL"));
}

}  // namespace
}  // namespace actool::net
