// The real verifier against real keys: every way in which a signature is not to be believed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>

#include <optional>
#include <thread>

#include "core/base/error.h"
#include "core/base/log.h"
#include "tests/unit/trust/gpg_lab.h"
#include "trust/openpgp_packets.h"
#include "trust/verifier.h"

namespace actool::trust {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr std::string_view kBytes = "the bytes of an image";
// Frozen: a faked clock that runs starts anew in each gpg, so that a key could be of a second
// after its signature.
const GpgLab::When k2020{"20200101T000000!"};

// One gpg for all tests: making keys is slow.
class OpenPgpVerifier : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { lab_ = new GpgLab; }
  static void TearDownTestSuite() {
    delete lab_;
    lab_ = nullptr;
  }
  static GpgLab& lab() { return *lab_; }

  void trustKey(const std::string& fingerprint) {
    keys_.put("example.com", fingerprint, lab().publicKey(fingerprint));
  }
  std::unique_ptr<SignatureVerifier> verifier() const {
    return makeOpenPgpVerifier(keys_.keystore().list());
  }
  std::vector<Signer> verify(const std::string& signature, std::string_view bytes = kBytes) const {
    const auto session = verifier()->begin(signature);
    session->update(std::as_bytes(std::span(bytes)));
    return session->finish();
  }
  std::string why(const std::string& signature, std::string_view bytes = kBytes) const {
    try {
      verify(signature, bytes);
    } catch (const TrustError& error) {
      return error.what();
    }
    return "accepted";
  }
  std::string whyBefore(const std::string& signature) const {
    try {
      verifier()->precheck(signature);
    } catch (const TrustError& error) {
      return error.what();
    }
    return "accepted";
  }

  KeyDir keys_;

 private:
  static GpgLab* lab_;
};

GpgLab* OpenPgpVerifier::lab_ = nullptr;

TEST_F(OpenPgpVerifier, TakesRsaAndEd25519AndDsa) {
  for (const std::string algorithm : {"rsa2048", "ed25519", "dsa2048", "nistp256"}) {
    const std::string key = lab().makeKey("Good " + algorithm + " <good@example.com>", algorithm);
    trustKey(key);
    const std::string signature = lab().sign(key, kBytes);
    EXPECT_EQ(whyBefore(signature), "accepted") << algorithm;
    const std::vector<Signer> signers = verify(signature);
    ASSERT_EQ(signers.size(), 1U) << algorithm;
    EXPECT_EQ(signers[0].fingerprint, key);
    EXPECT_EQ(signers[0].userId, "Good " + algorithm + " <good@example.com>");
    EXPECT_THAT(why(signature, "other bytes"),
                StartsWith("bad signature by key " + key + " of \"Good "));
  }
}

TEST_F(OpenPgpVerifier, TakesBinarySignaturesAndTellsWhenTheyWereMade) {
  const std::string key =
      lab().makeKey("Old <old@example.com>", "ed25519", "sign,cert", "never", k2020);
  trustKey(key);
  const std::string signature = lab().sign(key, kBytes, {"--detach-sign"}, {"20200301T123456"});
  EXPECT_EQ(verify(signature)[0].created, "2020-03-01T12:34:56Z");
}

TEST_F(OpenPgpVerifier, MapsSigningSubkeysToTheirPrimaryKey) {
  const std::string key = lab().makeKey("Sub <sub@example.com>", "ed25519", "cert");
  const std::string subkey = lab().addSubkey(key, "rsa2048");
  trustKey(key);
  const std::string signature = lab().sign(subkey, kBytes);
  EXPECT_EQ(whyBefore(signature), "accepted");
  const std::vector<Signer> signers = verify(signature);
  ASSERT_EQ(signers.size(), 1U);
  EXPECT_EQ(signers[0].fingerprint, key);
  EXPECT_EQ(signers[0].signingFingerprint, subkey);
}

TEST_F(OpenPgpVerifier, RefusesExpiredKeys) {
  const std::string key =
      lab().makeKey("Expired <e@example.com>", "ed25519", "sign,cert", "1y", k2020);
  trustKey(key);
  const std::string signature = lab().sign(key, kBytes, {}, k2020);
  const std::string expected =
      "signed by key " + key + " of \"Expired <e@example.com>\", which is expired on 2020-12-31";
  EXPECT_EQ(whyBefore(signature), expected);
  EXPECT_EQ(why(signature), expected);
}

TEST_F(OpenPgpVerifier, RefusesRevokedKeysWhateverTheySignedBefore) {
  const std::string key = lab().makeKey("Revoked <r@example.com>");
  const std::string signature = lab().sign(key, kBytes);
  trustKey(key);
  EXPECT_EQ(why(signature), "accepted");
  lab().revoke(key);
  trustKey(key);
  const std::string expected =
      "signed by key " + key + " of \"Revoked <r@example.com>\", which is revoked";
  EXPECT_EQ(whyBefore(signature), expected);
  EXPECT_EQ(why(signature), expected);
}

TEST_F(OpenPgpVerifier, ARevocationInOneFileRevokesTheKeyInAll) {
  const std::string key = lab().makeKey("Twice <t@example.com>");
  const std::string signature = lab().sign(key, kBytes);
  keys_.put("example.com", key, lab().publicKey(key));
  lab().revoke(key);
  keys_.put("example.org", key, lab().publicKey(key));
  EXPECT_THAT(why(signature), HasSubstr("which is revoked"));
}

TEST_F(OpenPgpVerifier, RefusesRevokedAndExpiredSubkeysOfGoodKeys) {
  const std::string key =
      lab().makeKey("Subs <s@example.com>", "ed25519", "sign,cert", "never", k2020);
  const std::string revoked = lab().addSubkey(key, "ed25519", "sign", "never", k2020);
  const std::string expired = lab().addSubkey(key, "ed25519", "sign", "1y", k2020);
  const std::string byRevoked = lab().sign(revoked, kBytes, {}, k2020);
  const std::string byExpired = lab().sign(expired, kBytes, {}, k2020);
  lab().revokeSubkey(key, 1);
  trustKey(key);
  const std::string who = "signed by key " + key + " (subkey ";
  EXPECT_EQ(why(byRevoked),
            who + revoked + ") of \"Subs <s@example.com>\", whose subkey is revoked");
  EXPECT_EQ(whyBefore(byRevoked), why(byRevoked));
  EXPECT_EQ(why(byExpired),
            who + expired + ") of \"Subs <s@example.com>\", whose subkey is expired on 2020-12-31");
  EXPECT_EQ(whyBefore(byExpired), why(byExpired));
  EXPECT_EQ(why(lab().sign(key, kBytes)), "accepted");
}

TEST_F(OpenPgpVerifier, ARevokedKeyTakesItsSubkeysWithIt) {
  const std::string key = lab().makeKey("Whole <w@example.com>", "ed25519", "cert");
  const std::string signature = lab().sign(lab().addSubkey(key), kBytes);
  lab().revoke(key);
  trustKey(key);
  EXPECT_THAT(why(signature), HasSubstr("which is revoked"));
}

TEST_F(OpenPgpVerifier, RefusesExpiredSignaturesOfGoodKeys) {
  const std::string key =
      lab().makeKey("Sig <sig@example.com>", "ed25519", "sign,cert", "never", k2020);
  trustKey(key);
  const std::string signature = lab().sign(key, kBytes, {"--default-sig-expire", "10d"}, k2020);
  EXPECT_EQ(why(signature),
            "signature by key " + key + " of \"Sig <sig@example.com>\" expired on 2020-01-11");
}

TEST_F(OpenPgpVerifier, RefusesSignaturesFromTheFuture) {
  const std::string key = lab().makeKey("Future <f@example.com>");
  trustKey(key);
  EXPECT_THAT(why(lab().sign(key, kBytes, {}, {"20980101T000000"})),
              HasSubstr("is of 2098-01-01T00:00:00Z, which is in the future"));
}

TEST_F(OpenPgpVerifier, RefusesWeakDigestsBeforeTheBytesAndAfter) {
  const std::string key = lab().makeKey("Weak <weak@example.com>", "rsa2048");
  trustKey(key);
  for (const auto& [option, name] :
       {std::pair{"SHA1", "SHA-1"}, {"MD5", "MD5"}, {"RIPEMD160", "RIPEMD-160"}}) {
    const std::string signature =
        lab().sign(key, kBytes, {"--allow-weak-digest-algos", "--digest-algo", option});
    const std::string expected = "signature by key " + key +
                                 " of \"Weak <weak@example.com>\" over " + name +
                                 ", which can be forged";
    EXPECT_EQ(whyBefore(signature), expected);
    EXPECT_EQ(why(signature), expected);
  }
  EXPECT_EQ(why(lab().sign(key, kBytes, {"--digest-algo", "SHA256"})), "accepted");
}

TEST_F(OpenPgpVerifier, RefusesShortRsaKeys) {
  const std::string key = lab().makeKey("Short <short@example.com>", "rsa1024");
  trustKey(key);
  EXPECT_EQ(why(lab().sign(key, kBytes)),
            "signed by key " + key +
                " of \"Short <short@example.com>\", which is too short "
                "(rsa1024, at least 2048 bits are needed)");
}

TEST_F(OpenPgpVerifier, NamesUnknownKeys) {
  const std::string key = lab().makeKey("Stranger <stranger@example.com>");
  const std::string signature = lab().sign(key, kBytes);
  const std::string expected =
      "signed by unknown key " + key +
      "; if its maker is to be trusted: actool trust add --prefix NAME KEY";
  EXPECT_EQ(whyBefore(signature), expected);
  EXPECT_EQ(why(signature), expected);
}

TEST_F(OpenPgpVerifier, TakesOnlyDetachedSignaturesOverBinaryFiles) {
  const std::string key = lab().makeKey("Form <form@example.com>");
  trustKey(key);
  // Each of these is a good signature to gpg, over bytes that it brings along or bends.
  EXPECT_THAT(why(lab().sign(key, kBytes, {"--armor", "--sign"})),
              HasSubstr("a PGP MESSAGE where a PGP SIGNATURE should be"));
  EXPECT_THAT(why(lab().sign(key, kBytes, {"--sign", "--compress-algo", "none"})),
              HasSubstr("not a detached OpenPGP signature"));
  EXPECT_THAT(why(lab().sign(key, kBytes, {"--clearsign"})), HasSubstr("PGP SIGNED MESSAGE"));
  EXPECT_THAT(why(lab().sign(key, kBytes, {"--textmode"})), HasSubstr("type 0x01"));
}

// What is signed may itself be something that gpg understands.
TEST_F(OpenPgpVerifier, BytesAreBytesWhateverIsInThem) {
  const std::string key = lab().makeKey("Bytes <bytes@example.com>");
  trustKey(key);
  const std::string inner = lab().sign(key, kBytes, {"--detach-sign"});
  const std::string message = lab().sign(key, kBytes, {"--sign", "--compress-algo=none"});
  // The message's own signature is good, of the bytes in it, but not of the message.
  EXPECT_THAT(why(inner, message), StartsWith("bad signature by key " + key));
  const std::string outer = lab().sign(key, message);
  const std::vector<Signer> signers = verify(outer, message);
  ASSERT_EQ(signers.size(), 1U);
  EXPECT_EQ(signers[0].fingerprint, key);
  EXPECT_THAT(why(outer, message + message), StartsWith("bad signature by key " + key));
  EXPECT_THAT(why(outer), StartsWith("bad signature by key " + key));
}

TEST_F(OpenPgpVerifier, NamesEverySignerThatIsGood) {
  const std::string first = lab().makeKey("First <first@example.com>");
  const std::string second = lab().makeKey("Second <second@example.com>");
  trustKey(first);
  trustKey(second);
  const std::vector<Signer> signers =
      verify(lab().sign(first, kBytes) + lab().sign(second, kBytes));
  ASSERT_EQ(signers.size(), 2U);
  EXPECT_THAT((std::vector{signers[0].fingerprint, signers[1].fingerprint}),
              ::testing::UnorderedElementsAre(first, second));
  EXPECT_THAT(why(lab().sign(first, "x") + lab().sign(second, "y")),
              HasSubstr("bad signature by key " + first));
}

std::size_t bigEndian(std::string_view bytes) {
  std::size_t value = 0;
  for (const char c : bytes)
    value = value << 8 | static_cast<unsigned char>(c);
  return value;
}

std::string twoBytes(std::size_t value) {
  return {static_cast<char>(value >> 8), static_cast<char>(value & 255)};
}

// The unhashed subpackets `area` without embedded signatures (type 32).
std::string withoutEmbedded(std::string_view area) {
  std::string kept;
  while (!area.empty()) {
    std::size_t length = bigEndian(area.substr(0, 1));
    std::size_t header = 1;
    if (length >= 192) {
      length = ((length - 192) << 8) + bigEndian(area.substr(1, 1)) + 192;
      header = 2;
    }
    if (area[header] != 32) kept += area.substr(0, header + length);
    area.remove_prefix(header + length);
  }
  return kept;
}

// Takes out of a key's binding signatures what the subkeys say themselves of belonging to it. gpg
// puts that into the unhashed part, so that the binding signatures stay good: anybody can
// make somebody else's signing key a subkey of his own in this way.
std::string withoutCrossCertification(std::string_view packets) {
  std::string out;
  while (!packets.empty()) {
    const auto header = static_cast<unsigned char>(packets[0]);
    const std::size_t lengthBytes = std::size_t{1} << (header & 3);
    const std::size_t length = bigEndian(packets.substr(1, lengthBytes));
    const std::string_view whole = packets.substr(0, 1 + lengthBytes + length);
    std::string body(whole.substr(1 + lengthBytes));
    packets.remove_prefix(whole.size());
    constexpr int kSignature = 2;
    constexpr char kSubkeyBinding = 0x18;
    if ((header >> 2 & 15) != kSignature || body[1] != kSubkeyBinding) {
      out += whole;
      continue;
    }
    const std::string_view view = body;
    const std::size_t unhashed = 6 + bigEndian(view.substr(4, 2));
    const std::size_t size = bigEndian(view.substr(unhashed, 2));
    const std::string kept = withoutEmbedded(view.substr(unhashed + 2, size));
    body =
        body.substr(0, unhashed) + twoBytes(kept.size()) + kept + body.substr(unhashed + 2 + size);
    out += static_cast<char>(0x80 | kSignature << 2 | 1) + twoBytes(body.size()) + body;
  }
  return out;
}

TEST_F(OpenPgpVerifier, RefusesSubkeysThatDoNotSayThemselvesWhoseTheyAre) {
  const std::string key = lab().makeKey("Adopted <adopted@example.com>", "ed25519", "cert");
  const std::string signature = lab().sign(lab().addSubkey(key), kBytes);
  const std::string packets = parsePublicKeys(lab().publicKey(key), "key");
  const std::string stripped = withoutCrossCertification(packets);
  ASSERT_LT(stripped.size(), packets.size());
  keys_.put("example.com", key, packets);
  EXPECT_EQ(why(signature), "accepted");
  keys_.put("example.com", key, stripped);
  EXPECT_THAT(why(signature), HasSubstr("signature by key " + key));
}

// $TMPDIR and $HOME are empty directories while this lives.
class ScratchEnvironment {
 public:
  ScratchEnvironment() {
    makeDirs(tmp());
    makeDirs(home());
    set("TMPDIR", tmp(), oldTmp_);
    set("HOME", home(), oldHome_);
  }
  ~ScratchEnvironment() {
    restore("TMPDIR", oldTmp_);
    restore("HOME", oldHome_);
  }
  Path tmp() const { return dir_.path() / "tmp"; }
  Path home() const { return dir_.path() / "home"; }

 private:
  static void set(const char* name, const Path& value, std::optional<std::string>& old) {
    if (const char* current = ::getenv(name)) old = current;
    ::setenv(name, value.c_str(), 1);
  }
  static void restore(const char* name, const std::optional<std::string>& old) {
    if (old) {
      ::setenv(name, old->c_str(), 1);
    } else {
      ::unsetenv(name);
    }
  }

  TempDir dir_{tempRoot(), "scratch."};
  std::optional<std::string> oldTmp_;
  std::optional<std::string> oldHome_;
};

TEST_F(OpenPgpVerifier, WritesNothingToTheHomeDirectoryAndLeavesNothingBehind) {
  const std::string key = lab().makeKey("Clean <clean@example.com>");
  trustKey(key);
  const std::string signature = lab().sign(key, kBytes);
  const ScratchEnvironment scratch;
  EXPECT_EQ(why(signature), "accepted");
  const std::string bytes(8 << 20, 'b');
  verifier()->begin(signature)->update(std::as_bytes(std::span(bytes)));
  EXPECT_THAT(listDir(scratch.tmp()), IsEmpty());
  EXPECT_THAT(listDir(scratch.home()), IsEmpty());
  EXPECT_THAT(processesWith(scratch.tmp().string()), IsEmpty());
}

// The one gpg that works below `scratch`; 0 when there is not one.
pid_t gpgIn(const ScratchEnvironment& scratch) {
  std::vector<pid_t> gpgs;
  for (int i = 0; i < 1000 && gpgs.empty(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    gpgs = processesWith((scratch.tmp() / "actool-gpg.").string());
  }
  return gpgs.size() == 1 ? gpgs[0] : 0;
}

// Ctrl-C and killpg() reach gpg too, which must not end before its owner has decided.
TEST_F(OpenPgpVerifier, SignalsToTheGroupAreForTheOwner) {
  const std::string key = lab().makeKey("Group <group@example.com>");
  trustKey(key);
  const std::string bytes(4 << 20, 'g');
  const std::string signature = lab().sign(key, bytes);
  const ScratchEnvironment scratch;
  const auto session = verifier()->begin(signature);
  session->update(std::as_bytes(std::span(bytes).first(100)));
  const pid_t gpg = gpgIn(scratch);
  ASSERT_NE(gpg, 0);
  for (const int number : {SIGTERM, SIGINT, SIGHUP})
    ASSERT_EQ(::kill(gpg, number), 0);
  session->update(std::as_bytes(std::span(bytes).subspan(100)));
  EXPECT_EQ(session->finish().size(), 1U);
  // And not for ever: this thread takes them again.
  sigset_t blocked;
  ASSERT_EQ(::pthread_sigmask(SIG_SETMASK, nullptr, &blocked), 0);
  EXPECT_EQ(::sigismember(&blocked, SIGTERM), 0);
}

TEST_F(OpenPgpVerifier, SaysSoWhenGpgIsKilled) {
  const std::string key = lab().makeKey("Killed <killed@example.com>");
  trustKey(key);
  const std::string bytes(16 << 20, 'k');
  const std::string signature = lab().sign(key, bytes);
  const ScratchEnvironment scratch;
  const auto session = verifier()->begin(signature);
  session->update(std::as_bytes(std::span(bytes).first(100)));
  const pid_t gpg = gpgIn(scratch);
  ASSERT_NE(gpg, 0);
  ASSERT_EQ(::kill(gpg, SIGKILL), 0);
  EXPECT_THROW(
      {
        session->update(std::as_bytes(std::span(bytes)));
        session->finish();
      },
      Error);
}

TEST_F(OpenPgpVerifier, IgnoresFilesThatAreNotTheKeyOfTheirName) {
  const std::string good = lab().makeKey("Real <real@example.com>");
  const std::string other = lab().makeKey("Other <other@example.com>");
  const std::string secret = lab().makeKey("Secret <secret@example.com>");
  trustKey(good);
  keys_.put("example.com", std::string(40, 'c'), "garbage");
  keys_.put("example.com", std::string(40, 'd'), lab().publicKey(other));
  keys_.put("example.com", secret, lab().secretKey(secret));
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(why(lab().sign(good, kBytes)), "accepted");
  const std::string warnings = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(warnings, HasSubstr(std::string(40, 'c') + ": key file: no OpenPGP public key"));
  EXPECT_THAT(warnings, HasSubstr(std::string(40, 'd') + ": it does not hold a valid key with the "
                                                         "fingerprint that is its name"));
  EXPECT_THAT(warnings, HasSubstr(secret + ": key file: a secret key"));
  EXPECT_THAT(why(lab().sign(other, kBytes)), HasSubstr("signed by unknown key " + other));
  EXPECT_THAT(why(lab().sign(secret, kBytes)), HasSubstr("signed by unknown key " + secret));
}

TEST_F(OpenPgpVerifier, NoKeysTrustNobody) {
  const std::string key = lab().makeKey("Lonely <lonely@example.com>");
  EXPECT_THAT(why(lab().sign(key, kBytes)), HasSubstr("signed by unknown key"));
}

}  // namespace
}  // namespace actool::trust
