#include "trust/key_info.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/trust/gpg_lab.h"
#include "trust/keyring.h"
#include "trust/openpgp_packets.h"

namespace actool::trust {
namespace {

KeyInfo exampleKey() {
  SubkeyInfo primary;
  primary.fingerprint = "8b86de38890ddb7291867b025210bd8888182190";
  primary.algorithm = "rsa4096";
  primary.bits = 4096;
  primary.finiteField = true;
  primary.created = std::chrono::system_clock::from_time_t(1577836800);
  primary.canSign = primary.canCertify = true;
  SubkeyInfo subkey = primary;
  subkey.fingerprint = "1111111111111111111111111111111111111111";
  subkey.algorithm = "ed25519";
  subkey.finiteField = false;
  subkey.bits = 255;
  subkey.canCertify = false;
  subkey.expires = std::chrono::system_clock::from_time_t(1609459200);
  subkey.expired = true;
  return {primary.fingerprint, {"Ann\x1b[31m <ann@example.com>"}, {primary, subkey}};
}

TEST(KeyInfo, IsDescribedForPeopleWithNothingRaw) {
  EXPECT_EQ(
      describeKey(exampleKey()),
      "  fingerprint: 8B86 DE38 890D DB72 9186  7B02 5210 BD88 8818 2190\n"
      "    rsa4096 (sign, certify), created 2020-01-01, never expires\n"
      "    user ID: Ann\\x1b[31m <ann@example.com>\n"
      "    subkey: 1111 1111 1111 1111 1111  1111 1111 1111 1111 1111\n"
      "      ed25519 (sign), created 2020-01-01, expires 2021-01-01; expired on 2021-01-01\n");
}

TEST(KeyInfo, IsUnusableWhenNothingInItCanSign) {
  KeyInfo key = exampleKey();
  EXPECT_EQ(key.unusable(), "");
  key.subkeys[0].canSign = false;
  EXPECT_EQ(key.unusable(), "nothing in it can sign");
  key.subkeys[1].expired = false;
  EXPECT_EQ(key.unusable(), "");
  key.subkeys[0].revoked = true;
  EXPECT_EQ(key.unusable(), "revoked");
}

TEST(KeyInfo, ShortRsaKeysAreUnusableAndShortCurvesAreNot) {
  KeyInfo key = exampleKey();
  key.subkeys[0].bits = 1024;
  key.subkeys[0].algorithm = "rsa1024";
  EXPECT_EQ(key.unusable(), "too short (rsa1024, at least 2048 bits are needed)");
  EXPECT_EQ(key.find(std::string(40, '1'))->bits, 255U);
  EXPECT_EQ(key.find(std::string(40, '2')), nullptr);
}

TEST(KeyInfo, BecomesARecord) {
  const Json record = keyJson(exampleKey());
  EXPECT_EQ(record["fingerprint"], "8b86de38890ddb7291867b025210bd8888182190");
  EXPECT_EQ(record["algorithm"], "rsa4096");
  EXPECT_EQ(record["created"], "2020-01-01T00:00:00Z");
  EXPECT_FALSE(record.contains("expires"));
  EXPECT_EQ(record["status"], "usable");
  EXPECT_EQ(record["subkeys"][0]["status"], "expired on 2021-01-01");
  EXPECT_EQ(record["subkeys"][0]["expires"], "2021-01-01T00:00:00Z");
}

TEST(Keyring, ReadsSeveralKeysAndExportsEachAlone) {
  const GpgLab lab;
  const std::string rsa =
      lab.makeKey("Rsa <rsa@example.com>", "rsa2048", "sign,cert", "2y", {"20200101T000000"});
  const std::string ed = lab.makeKey("Ed <ed@example.com>");
  const std::string sub = lab.addSubkey(ed, "rsa2048");
  Keyring keyring;
  keyring.import(parsePublicKeys(lab.publicKey(rsa) + lab.publicKey(ed), "keys"));
  const std::vector<KeyInfo> keys = keyring.keys();
  ASSERT_EQ(keys.size(), 2U);
  EXPECT_EQ(keys[0].fingerprint, rsa);
  EXPECT_EQ(keys[0].userId(), "Rsa <rsa@example.com>");
  EXPECT_EQ(keys[0].primary().algorithm, "rsa2048");
  EXPECT_EQ(keys[0].unusable(), "expired on 2021-12-31");
  EXPECT_EQ(keys[1].primary().algorithm, "ed25519");
  EXPECT_EQ(keys[1].subkeys.at(1).fingerprint, sub);
  EXPECT_EQ(keys[1].unusable(), "");

  Keyring alone;
  alone.import(parsePublicKeys(keyring.exportArmored(ed), "exported"));
  ASSERT_EQ(alone.keys().size(), 1U);
  EXPECT_EQ(alone.keys()[0].fingerprint, ed);
}

TEST(Keyring, KeysWithoutTheirOwnSignatureAreLeftOut) {
  const GpgLab lab;
  const std::string fingerprint = lab.makeKey("Ann <ann@example.com>");
  std::string packets = parsePublicKeys(lab.publicKey(fingerprint), "key");
  packets.back() = static_cast<char>(packets.back() ^ 1);
  Keyring keyring;
  keyring.import(packets);
  EXPECT_THAT(keyring.keys(), ::testing::IsEmpty());
}

}  // namespace
}  // namespace actool::trust
