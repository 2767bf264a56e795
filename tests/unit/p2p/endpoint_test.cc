#include "p2p/endpoint.h"

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "tests/support/errors.h"

namespace actool::p2p {
namespace {

using test::messageOf;

TEST(Endpoint, HostsAndPorts) {
  using Pair = std::pair<std::string, int>;
  EXPECT_EQ(parseHostPort("--peer", "192.0.2.7:6881"), Pair("192.0.2.7", 6881));
  EXPECT_EQ(parseHostPort("--peer", "[2001:db8::7]:1"), Pair("2001:db8::7", 1));
  EXPECT_EQ(parseHostPort("--peer", "seed.example.com:65535"), Pair("seed.example.com", 65535));
  for (const char* wrong : {"", "host", "host:", ":80", "host:0", "host:65536", "host:-1",
                            "2001:db8::7:80", "[]:80", "a b:80", "host:80x"}) {
    EXPECT_THROW(parseHostPort("--peer", wrong), UsageError) << wrong;
  }
  EXPECT_EQ(messageOf([] { parseHostPort("--peer", "x"); }),
            "--peer: \"x\" is not HOST:PORT; write 192.0.2.7:6881 or [2001:db8::7]:6881");
  EXPECT_EQ(formatHostPort("2001:db8::7", 80), "[2001:db8::7]:80");
  EXPECT_EQ(formatHostPort("h", 80), "h:80");
}

TEST(Endpoint, Urls) {
  EXPECT_NO_THROW(checkUrl("--tracker", "udp://t.example.com:80", {"http", "udp"}));
  for (const char* wrong : {"", "http", "http://", "http:///x", "ftp://h/", "http://h/ x"}) {
    EXPECT_THROW(checkUrl("--tracker", wrong, {"http", "udp"}), UsageError) << wrong;
  }
}

}  // namespace
}  // namespace actool::p2p
