#include "core/net/url.h"

#include <gtest/gtest.h>

#include "tests/support/errors.h"

namespace actool::net {
namespace {

using test::messageOf;

TEST(Url, ComesApart) {
  const Url url = Url::parse("https://Example.COM:8443/a/b.aci?x=1&y#fragment");
  EXPECT_EQ(url.scheme, "https");
  EXPECT_EQ(url.host, "example.com");
  EXPECT_EQ(url.port, "8443");
  EXPECT_EQ(url.path, "/a/b.aci");
  EXPECT_EQ(url.query, "x=1&y");
  EXPECT_EQ(url.hostPort(), "example.com:8443");
  EXPECT_EQ(url.str, "https://example.com:8443/a/b.aci?x=1&y");
}

TEST(Url, IsNormalised) {
  const std::pair<const char*, const char*> cases[] = {
      {"https://example.com", "https://example.com/"},
      {"HTTPS://example.com:443/", "https://example.com/"},
      {"http://example.com:80/a", "http://example.com/a"},
      {"https://example.com/a/../b/./c", "https://example.com/b/c"},
      {"https://[::1]:8080/x", "https://[::1]:8080/x"},
      {"https://example.com/a%20b", "https://example.com/a%20b"}};
  for (const auto& [text, normal] : cases) {
    EXPECT_EQ(Url::parse(text).str, normal);
  }
  EXPECT_EQ(Url::parse("https://example.com:443/").hostPort(), "example.com");
}

TEST(Url, RefusesTheRest) {
  for (const char* text : {"", "example.com", "https://", "https:///x", "https:/x", "https:x",
                           "ftp://example.com/", "file:///etc/passwd", "https://a b/",
                           "https://example.com/a b", "https://example.com:99999/",
                           "https://exa\nmple/", "docker://busybox", "javascript:alert(1)"}) {
    EXPECT_THROW(Url::parse(text), UsageError) << text;
  }
  EXPECT_THROW(Url::parse(std::string_view("https://a/\0b", 12)), UsageError);
  EXPECT_EQ(messageOf([] { Url::parse("ftp://example.com/"); }),
            "\"ftp://example.com/\" is no URL that can be used: its scheme is neither http nor "
            "https");
}

TEST(Url, TakesNoCredentials) {
  for (const char* text : {"https://user@example.com/", "https://user:secret@example.com/"}) {
    EXPECT_EQ(messageOf([text] { Url::parse(text); }),
              "a URL with a user name or password in it is not accepted; put the credentials into "
              "auth.d");
  }
}

TEST(PercentEncode, LeavesUnreservedCharacters) {
  EXPECT_EQ(percentEncode("aZ09-._~", false), "aZ09-._~");
  EXPECT_EQ(percentEncode("a/b c+d%\xc3\xa4", false), "a%2Fb%20c%2Bd%25%C3%A4");
  EXPECT_EQ(percentEncode("a/b?", true), "a/b%3F");
}

}  // namespace
}  // namespace actool::net
