#include "core/net/auth_config.h"

#include <gtest/gtest.h>

#include "core/base/fs.h"
#include "tests/support/errors.h"

namespace actool::net {
namespace {

using test::messageOf;

class AuthConfigTest : public ::testing::Test {
 protected:
  Path write(const char* dir, const char* name, const std::string& content) {
    const Path path = temp_.path() / dir / "auth.d" / name;
    makeDirs(path.parent_path());
    writeFilePlain(path, content);
    return path;
  }
  AuthConfig load() {
    return AuthConfig::load({{temp_.path() / "system", temp_.path() / "local"}});
  }
  static std::string basic(const std::string& domains, const std::string& user) {
    return R"({"rktKind":"auth","rktVersion":"v1","domains":[)" + domains +
           R"(],"type":"basic","credentials":{"user":")" + user + R"(","password":"p"}})";
  }
  static std::string userFor(const AuthConfig& config, std::string_view host) {
    const Credential* found = config.find(host);
    return found == nullptr ? "(none)" : std::get<BasicAuth>(*found).user;
  }

  TempDir temp_{tempRoot(), "auth."};
};

TEST_F(AuthConfigTest, ReadsRktsFiles) {
  write("system", "a.json", basic(R"("coreos.com","Tectonic.com")", "foo"));
  write("local", "b.json",
        R"({"rktKind":"auth","rktVersion":"v1","domains":["example.com:8443"],"type":"oauth",
            "credentials":{"token":"sometoken"}})");
  const AuthConfig config = load();
  EXPECT_EQ(userFor(config, "coreos.com"), "foo");
  EXPECT_EQ(userFor(config, "tectonic.com"), "foo");
  EXPECT_EQ(userFor(config, "COREOS.com:8443"), "foo");
  EXPECT_EQ(std::get<BearerAuth>(*config.find("example.com:8443")).token, "sometoken");
  EXPECT_EQ(config.find("example.com"), nullptr);
  EXPECT_EQ(config.find("sub.coreos.com"), nullptr);
  EXPECT_EQ(config.find("coreos.com.evil.test"), nullptr);
  EXPECT_EQ(AuthConfig().find("coreos.com"), nullptr);
}

TEST_F(AuthConfigTest, PrefersThePortAndTheHigherDirectory) {
  write("system", "a.json", basic(R"("example.com","other.com")", "system"));
  write("local", "a.json", basic(R"("example.com")", "local"));
  write("local", "b.json", basic(R"("example.com:444")", "port"));
  const AuthConfig config = load();
  EXPECT_EQ(userFor(config, "example.com"), "local");
  EXPECT_EQ(userFor(config, "other.com"), "system");
  EXPECT_EQ(userFor(config, "example.com:444"), "port");
  EXPECT_EQ(userFor(config, "example.com:445"), "local");
}

TEST_F(AuthConfigTest, TakesNoPortFromAnAddress) {
  AuthConfig config;
  config.set("[::1]", BasicAuth{"six", "p"});
  EXPECT_EQ(userFor(config, "[::1]:8080"), "six");
  EXPECT_EQ(userFor(config, "[::1]"), "six");
  EXPECT_EQ(userFor(config, "[::2]"), "(none)");
}

TEST_F(AuthConfigTest, SaysWhatIsWrong) {
  const auto credentials = [](const char* type, const char* content) {
    return std::string(R"({"rktKind":"auth","rktVersion":"v1","domains":["a.com"],"type":")") +
           type + R"(","credentials":)" + content + "}";
  };
  const std::pair<std::string, const char*> cases[] = {
      {R"({"rktKind":"auth","rktVersion":"v1","type":"basic","credentials":{}})",
       "the member \"domains\" is missing"},
      {basic("", "u"),
       "\"domains\" should be a list of host names; write them like \"example.com\" or "
       "\"example.com:8443\""},
      {basic("7", "u"),
       "\"domains\" should be a list of host names; write them like \"example.com\" or "
       "\"example.com:8443\""},
      {basic(R"("https://a.com/")", "u"),
       "the domain \"https://a.com/\" is no host name; write it like \"example.com\" or "
       "\"example.com:8443\""},
      {credentials("digest", "{}"), "the type \"digest\" is unknown; known are basic and oauth"},
      {credentials("basic", R"({"user":"u"})"), "the member \"password\" is missing"},
      {credentials("basic", R"({"user":"","password":"p"})"), "credentials: \"user\" is empty"},
      {credentials("basic", R"({"user":"a:b","password":"p"})"), "credentials: \"user\" has a ':'"},
      {credentials("oauth", R"({"token":"a\r\nX: y"})"),
       "credentials: \"token\" has control characters"},
      {credentials("oauth", "[]"), "expected an object, found array"}};
  for (const auto& [content, message] : cases) {
    const Path path = write("local", "x.json", content);
    EXPECT_EQ(messageOf([&] { load(); }), path.string() + ": " + message);
  }
}

TEST_F(AuthConfigTest, RefusesADomainTwiceInOneDirectory) {
  const Path first = write("local", "a.json", basic(R"("a.com")", "u"));
  const Path second = write("local", "b.json", basic(R"("A.com")", "v"));
  EXPECT_EQ(messageOf<UsageError>([&] { load(); }),
            second.string() + ": the domain \"a.com\" is in " + first.string() +
                " too; a directory may have one set of credentials for a domain");
}

}  // namespace
}  // namespace actool::net
