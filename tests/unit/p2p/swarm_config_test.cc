#include "p2p/swarm_config.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "core/base/error.h"
#include "tests/support/errors.h"
#include "tests/unit/p2p/p2p_test_support.h"

namespace actool::p2p {
namespace {

using test::messageOf;

// openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -days 36500 -subj "/CN=Unit
// test CA"
constexpr const char* kCaPem = R"(-----BEGIN CERTIFICATE-----
MIIBhTCCASugAwIBAgIUBvTdylk/7Glm/T+L6kDNmAhdSFEwCgYIKoZIzj0EAwIw
FzEVMBMGA1UEAwwMVW5pdCB0ZXN0IENBMCAXDTI2MTEyNDE0MTkyN1oYDzIxMjYx
MDMxMTQxOTI3WjAXMRUwEwYDVQQDDAxVbml0IHRlc3QgQ0EwWTATBgcqhkjOPQIB
BggqhkjOPQMBBwNCAAS2ruJmbIMIlhXBDaGSt7+LknhLVf5QmOgm4B75D9Jv0K6x
q83HG1Tqu0MkxwQQDyBHpO6pRgL/bObNZn4kQr3co1MwUTAdBgNVHQ4EFgQUzy6z
liZ890DSyXgBlmBn5Gwz0hwwHwYDVR0jBBgwFoAUzy6zliZ890DSyXgBlmBn5Gwz
0hwwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiEA6j9pzLKiGWlO
Hjbgg0PQpHj0VVRA5V7cWfBYNyR+bMcCID+ugOlPeM9oE89Zk/Y+Un1vXdSVGcaz
xp3AJAP/KnId
-----END CERTIFICATE-----
)";
// Signed by it.
constexpr const char* kHostPem = R"(-----BEGIN CERTIFICATE-----
MIIBmjCCAUCgAwIBAgIUexgrDGC+iI+1xMe600vSG4gIgEowCgYIKoZIzj0EAwIw
FzEVMBMGA1UEAwwMVW5pdCB0ZXN0IENBMCAXDTI2MTEyNDE0MTkyN1oYDzIxMjYx
MDMxMTQxOTI3WjAQMQ4wDAYDVQQDDAVob3N0MTBZMBMGByqGSM49AgEGCCqGSM49
AwEHA0IABJ/xfUIucQNXorE7gzL45Gtgu7XkgDn6vSFWEAd4aJjz054R2HeIvRdY
qF0LfdH8R//U/dMfjXnfg1bLiAd5NC+jbzBtMAwGA1UdEQQFMAOCASowHQYDVR0l
BBYwFAYIKwYBBQUHAwIGCCsGAQUFBwMBMB0GA1UdDgQWBBQA8j0QBgNOZmAn4EYe
ZNkcOcH0yTAfBgNVHSMEGDAWgBTPLrOWJnz3QNLJeAGWYGfkbDPSHDAKBggqhkjO
PQQDAgNIADBFAiEAhiol6bu2CmlYfwe62rU/PpEGgqGkugwaMmVb+sxoobUCIDK6
cx03mJhQ0IrVetTxQEFUKmIvTzI9rKQzkufhP/rj
-----END CERTIFICATE-----
)";
constexpr const char* kHostKey = R"(-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgRhhcIyTYBKaBhs4D
2PaQzRG5DPMyOFUWirjboRHM6pahRANCAASf8X1CLnEDV6KxO4My+ORrYLu15IA5
+r0hVhAHeGiY89OeEdh3iL0XWKhdC33R/Ef/1P3TH41534NWy4gHeTQv
-----END PRIVATE KEY-----
)";

class SwarmConfigTest : public ::testing::Test {
 protected:
  SwarmConfigTest() {
    for (const auto& [file, text] :
         {std::pair{"ca.pem", kCaPem}, {"host.pem", kHostPem}, {"host.key", kHostKey}}) {
      writeFilePlain(place(file), text, 0600);
    }
  }

  std::string place(const std::string& file) const { return (dir_.path() / file).string(); }

  void write(const std::string& dir, const std::string& members) {
    makeDirs(dir_.path() / dir / "swarms.d");
    writeFilePlain(dir_.path() / dir / "swarms.d/x.json",
                   R"({"rktKind":"swarms","rktVersion":"v1",)" + members + "}");
  }
  std::string all() const {
    return R"("ca":")" + place("ca.pem") + R"(","certificate":")" + place("host.pem") +
           R"(","key":")" + place("host.key") + "\"";
  }
  SwarmConfig load(const SwarmWords& words = {}) const {
    return swarmConfig(words, {{dir_.path() / "lib", dir_.path() / "etc"}});
  }

  TempDir dir_{tempRoot()};
  const SwarmCa ca_ = SwarmCa::parse(kCaPem);
};

TEST_F(SwarmConfigTest, LongestPrefixDecides) {
  write("lib", R"("prefixes":["example.com"],)" + all());
  write("etc", R"("prefixes":["example.com/open"])");
  const SwarmConfig config = load();
  ASSERT_NE(config.find("example.com/web"), nullptr);
  EXPECT_EQ(config.find("example.com/web")->ca, ca_);
  EXPECT_EQ(config.find("example.com/open/web")->ca, std::nullopt);
  EXPECT_EQ(config.find("example.comx"), nullptr);
  EXPECT_TRUE(config.joinsAny());
  EXPECT_EQ(config.identityFor(ca_).certificate(), kHostPem);
}

TEST_F(SwarmConfigTest, OptionsComeBeforeFiles) {
  write("etc", R"("prefixes":["example.com"])");
  const SwarmConfig config = load({place("ca.pem"), place("host.pem"), place("host.key")});
  EXPECT_EQ(config.find("example.com")->ca, ca_);
  EXPECT_EQ(config.find("elsewhere.org")->ca, ca_);
}

// A key that only root reads does not keep users from open swarms.
TEST_F(SwarmConfigTest, KeysAreReadWhenTheyAreNeeded) {
  write("etc", R"("prefixes":["*"],)" + all());
  std::filesystem::remove(place("host.key"));
  SwarmConfig config = load();
  EXPECT_THROW(config.identityFor(ca_), Error);
  EXPECT_THROW(config.readIdentities(), Error);
}

TEST_F(SwarmConfigTest, IdentitiesThatWereReadAreKept) {
  write("etc", R"("prefixes":["*"],)" + all());
  SwarmConfig config = load();
  config.readIdentities();
  std::filesystem::remove(place("host.key"));
  EXPECT_EQ(config.identityFor(ca_).key(), kHostKey);
}

TEST_F(SwarmConfigTest, NothingForAnAuthority) {
  write("etc", R"("prefixes":["*"],"ca":")" + place("ca.pem") + "\"");
  EXPECT_FALSE(load().joinsAny());
  EXPECT_THROW(load().identityFor(ca_), NotFoundError);
}

TEST_F(SwarmConfigTest, RefusedFiles) {
  for (const std::string members : {
           R"("prefixes":[])",
           R"("prefixes":["*"],"ca":"ca.pem")",
           R"("prefixes":["*"],"certificate":"/x","key":"/y")",
           R"("prefixes":["*"],"ca":"/x","key":"/y")",
           R"("prefixes":["*"],"ca":"/nowhere")",
       }) {
    write("etc", members);
    EXPECT_THROW(load(), Error) << members;
    EXPECT_NE(messageOf([&] { load(); }).find("swarms.d/x.json"), std::string::npos) << members;
  }
}

TEST_F(SwarmConfigTest, WhoIsAdmitted) {
  const SwarmIdentity host = SwarmIdentity::load(place("host.pem"), place("host.key"));
  EXPECT_NO_THROW(host.requireAdmitted(ca_, "sha256-00.aci"));
}

TEST(SwarmCa, OneFormWhateverStandsAround) {
  const SwarmCa ca = SwarmCa::parse(kCaPem);
  EXPECT_EQ(SwarmCa::parse("talk\n" + std::string(kCaPem) + "more talk").pem(), ca.pem());
  EXPECT_TRUE(ca.pem().starts_with("-----BEGIN CERTIFICATE-----\n"));
  EXPECT_TRUE(ca.label().starts_with("\"Unit test CA\" (SHA-256 ")) << ca.label();
}

TEST(SwarmCa, Refused) {
  const std::string one = kCaPem;
  for (const std::string& text :
       {std::string(), std::string("no certificate"), one + one, std::string(kHostPem),
        std::string(kHostKey), one.substr(0, one.size() / 2), std::string(1 << 20, 'x')}) {
    EXPECT_THROW(SwarmCa::parse(text), Error) << text.substr(0, 100);
  }
}

TEST(SwarmCa, InTheTorrent) {
  const std::string bytes = noise(100'000);
  TorrentContent content = contentOf(bytes);
  const ImageTorrent open = parseTorrent(torrentOf(bytes, content));
  content.ca = SwarmCa::parse(kCaPem);
  const std::string torrent = torrentOf(bytes, content);
  const ImageTorrent admitted = parseTorrent(torrent);
  EXPECT_EQ(open.ca, std::nullopt);
  EXPECT_EQ(admitted.ca, content.ca);
  EXPECT_NE(admitted.infoHash, open.infoHash);
  EXPECT_EQ(parseTorrent(v1Form(torrent)).ca, content.ca);
  EXPECT_THROW(magnetLink(torrent, {}), UsageError);
}

// libtorrent takes all but the first for open swarms.
TEST(SwarmCa, BrokenInTheTorrent) {
  const std::string bytes = noise(100'000);
  const std::string torrent = torrentOf(bytes, contentOf(bytes));
  const std::size_t at = torrent.rfind("e12:piece layers");
  ASSERT_NE(at, std::string::npos);
  for (const std::string value : {"8:no cert!", "0:", "i1e", "le", "de"}) {
    std::string broken = torrent;
    broken.insert(at, "8:ssl-cert" + value);
    EXPECT_NE(messageOf([&] { parseTorrent(broken); }).find("its authority"), std::string::npos)
        << value;
  }
}

}  // namespace
}  // namespace actool::p2p
