#include "trust/openpgp_packets.h"

#include <gtest/gtest.h>

#include <string>

#include "core/base/error.h"
#include "trust/verifier.h"

namespace actool::trust {
namespace {

std::string bytes(std::initializer_list<int> values) {
  std::string out;
  for (const int value : values)
    out += static_cast<char>(value);
  return out;
}

// An old-format packet with a two-byte length, as gpg writes them.
std::string packet(int tag, const std::string& body) {
  const int size = static_cast<int>(body.size());
  return bytes({0x80 | tag << 2 | 1, size >> 8, size & 0xff}) + body;
}

// A version 4 signature with an issuer's fingerprint (hashed) and key ID (unhashed).
std::string signature(int type = 0, int hash = 10, int version = 4) {
  return packet(2, bytes({version, type, 1, hash, 0, 23, 22, 33, 4}) + std::string(20, '\xab') +
                       bytes({0, 10, 9, 16}) + std::string(8, '\xcd') + bytes({0, 0}));
}

std::string base64(const std::string& data) {
  static const char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < data.size(); i += 3) {
    unsigned value = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      value = value << 8 | (i + k < data.size() ? static_cast<unsigned char>(data[i + k]) : 0U);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      out += i + k > data.size() ? '=' : kDigits[value >> (18 - 6 * k) & 63];
    }
    if (i % 48 == 45) out += '\n';
  }
  return out;
}

std::string armor(const std::string& kind, const std::string& data) {
  return "-----BEGIN PGP " + kind + "-----\nVersion: test\n\n" + base64(data) +
         "\n=AbCd\n-----END PGP " + kind + "-----\n";
}

std::string whyNoSignature(const std::string& text) {
  try {
    parseDetachedSignature(text);
  } catch (const TrustError& error) {
    return error.what();
  }
  return "accepted";
}

std::string whyNoKey(const std::string& text) {
  try {
    parsePublicKeys(text, "x.gpg");
  } catch (const TrustError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(DetachedSignature, IsReadBinaryOrArmored) {
  for (const std::string& text : {signature(), armor("SIGNATURE", signature()),
                                  "text before\n" + armor("SIGNATURE", signature())}) {
    const DetachedSignature parsed = parseDetachedSignature(text);
    EXPECT_EQ(parsed.packets, signature());
    ASSERT_EQ(parsed.signatures.size(), 1U);
    EXPECT_EQ(parsed.signatures[0].hashAlgorithm, 10);
    EXPECT_EQ(parsed.signatures[0].issuerFingerprint, "abababababababababababababababababababab");
    EXPECT_EQ(parsed.signatures[0].issuerKeyId, "cdcdcdcdcdcdcdcd");
    EXPECT_EQ(parsed.signatures[0].issuer(), parsed.signatures[0].issuerFingerprint);
  }
}

TEST(DetachedSignature, WindowsLineEndsAreNoMatter) {
  std::string text;
  for (const char c : armor("SIGNATURE", signature()))
    text += c == '\n' ? "\r\n" : std::string(1, c);
  EXPECT_EQ(parseDetachedSignature(text).packets, signature());
}

TEST(DetachedSignature, SeveralBlocksAreSeveralSigners) {
  const DetachedSignature parsed =
      parseDetachedSignature(armor("SIGNATURE", signature()) + armor("SIGNATURE", signature()));
  EXPECT_EQ(parsed.packets, signature() + signature());
  EXPECT_EQ(parsed.signatures.size(), 2U);
}

TEST(DetachedSignature, NewFormatLengthsAreRead) {
  const std::string body = signature().substr(3);
  const int size = static_cast<int>(body.size());
  const std::string oneByte = bytes({0xc2, size}) + body;
  const std::string fourBytes = bytes({0xc2, 255, 0, 0, 0, size}) + body;
  EXPECT_EQ(parseDetachedSignature(oneByte).packets, oneByte);
  EXPECT_EQ(parseDetachedSignature(fourBytes).packets, fourBytes);
}

TEST(DetachedSignature, EverythingElseIsRefusedWithItsReason) {
  EXPECT_EQ(whyNoSignature(""), "not an OpenPGP signature");
  EXPECT_EQ(whyNoSignature("<html></html>"), "not an OpenPGP signature");
  EXPECT_EQ(whyNoSignature(std::string(kMaxSignatureBytes + 1, 'x')),
            "signature of more than 262144 bytes");
  EXPECT_EQ(whyNoSignature(armor("SIGNATURE", "")), "empty OpenPGP signature");
  EXPECT_EQ(whyNoSignature(armor("SIGNATURE", "\x01")), "not OpenPGP data");
  EXPECT_EQ(whyNoSignature(armor("MESSAGE", signature())),
            "a PGP MESSAGE where a PGP SIGNATURE should be");
  EXPECT_EQ(whyNoSignature(armor("PUBLIC KEY BLOCK", signature())),
            "a PGP PUBLIC KEY BLOCK where a PGP SIGNATURE should be");
  EXPECT_EQ(whyNoSignature(packet(8, "zz")), "not a detached OpenPGP signature: packet of type 8");
  // A one-pass signature, text and signature: an inline-signed message.
  EXPECT_EQ(whyNoSignature(packet(4, "x") + packet(11, "text") + signature()),
            "not a detached OpenPGP signature: packet of type 4");
  EXPECT_EQ(whyNoSignature(signature() + packet(11, "text")),
            "not a detached OpenPGP signature: packet of type 11");
  EXPECT_EQ(whyNoSignature(signature(1)),
            "OpenPGP signature of type 0x01, not over a binary file; sign with 'gpg --armor "
            "--detach-sign'");
  EXPECT_EQ(whyNoSignature(signature(0, 10, 3)),
            "OpenPGP signature of version 3, only version 4 is known");
  EXPECT_EQ(whyNoSignature(signature(0, 10, 6)),
            "OpenPGP signature of version 6, only version 4 is known");
  EXPECT_EQ(whyNoSignature(signature().substr(0, 20)), "truncated OpenPGP packet");
  EXPECT_EQ(whyNoSignature(bytes({0x8b, 4, 0})), "OpenPGP packet of indeterminate length");
  EXPECT_EQ(whyNoSignature(bytes({0xc2, 0xe1, 4, 0})), "OpenPGP packet in parts");
  std::string many;
  for (std::size_t i = 0; i <= kMaxSignatures; ++i)
    many += signature();
  EXPECT_EQ(whyNoSignature(many), "more than 32 signatures");
}

TEST(DetachedSignature, BrokenArmorIsRefusedWithItsReason) {
  const std::string good = armor("SIGNATURE", signature());
  EXPECT_EQ(whyNoSignature(good.substr(0, good.size() - 30)), "truncated armour");
  EXPECT_EQ(whyNoSignature(good.substr(0, good.find("\n\n") + 2) + good),
            "broken armour: a block in a block");
  EXPECT_EQ(whyNoSignature("-----BEGIN PGP SIGNATURE-----\nnot a header\n\n"),
            "broken armour: no empty line after the headers");
  EXPECT_EQ(whyNoSignature("-----BEGIN PGP SIGNATURE-----\n\nAAA\n-----END PGP SIGNATURE-----"),
            "broken armour: truncated base64");
  EXPECT_EQ(whyNoSignature("-----BEGIN PGP SIGNATURE-----\n\nA?AA\n-----END PGP SIGNATURE-----"),
            "broken armour: ? is not base64");
  EXPECT_EQ(whyNoSignature("-----BEGIN PGP SIGNATURE-----\n\nA=AA\n-----END PGP SIGNATURE-----"),
            "broken armour: = is not base64");
}

TEST(PublicKeys, LoseGpgsPrivateNotesAndKeepTheRest) {
  const std::string key = packet(6, "key") + packet(13, "Ann") + packet(2, "sig");
  const std::string subkey = packet(14, "sub") + packet(2, "sig") + bytes({0xc0 | 17, 5}) + "photo";
  EXPECT_EQ(parsePublicKeys(key + packet(12, "trust") + subkey, "x.gpg"), key + subkey);
  EXPECT_EQ(parsePublicKeys(armor("PUBLIC KEY BLOCK", key) + armor("PUBLIC KEY BLOCK", key), "x"),
            key + key);
}

TEST(PublicKeys, EverythingElseIsRefusedWithItsReason) {
  const std::string secret =
      "x.gpg: a secret key; export the public key with 'gpg --armor --export'";
  EXPECT_EQ(whyNoKey(packet(5, "secret")), secret);
  EXPECT_EQ(whyNoKey(packet(6, "key") + packet(7, "secret")), secret);
  EXPECT_EQ(whyNoKey(armor("PRIVATE KEY BLOCK", packet(5, "secret"))), secret);
  EXPECT_EQ(whyNoKey(armor("PUBLIC KEY BLOCK", packet(5, "secret"))), secret);
  EXPECT_EQ(whyNoKey(""), "x.gpg: no OpenPGP public key");
  EXPECT_EQ(whyNoKey(armor("PUBLIC KEY BLOCK", "")), "x.gpg: no OpenPGP public key");
  EXPECT_EQ(whyNoKey("<html></html>"), "x.gpg: no OpenPGP public key");
  EXPECT_EQ(whyNoKey(signature()), "x.gpg: does not begin with a public key");
  EXPECT_EQ(whyNoKey(packet(6, "key") + packet(11, "text")),
            "x.gpg: not an OpenPGP public key: packet of type 11");
  EXPECT_EQ(whyNoKey(armor("SIGNATURE", signature())),
            "x.gpg: a PGP SIGNATURE where a PGP PUBLIC KEY BLOCK should be");
  EXPECT_EQ(whyNoKey(std::string(kMaxKeyBytes + 1, 'x')),
            "x.gpg: key file of more than 4194304 bytes");
}

TEST(HashAlgorithms, OnlySha2AndSha3AreStrong) {
  for (const int strong : {8, 9, 10, 11, 12, 14})
    EXPECT_TRUE(isStrongHash(strong)) << strong;
  for (const int weak : {0, 1, 2, 3, 4, 7, 13, 15, 99})
    EXPECT_FALSE(isStrongHash(weak)) << weak;
  EXPECT_EQ(hashAlgorithmName(2), "SHA-1");
  EXPECT_EQ(hashAlgorithmName(99), "hash algorithm 99");
}

}  // namespace
}  // namespace actool::trust
