// What every SignatureVerifier does; the fake one that other tests use included.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <thread>

#include "core/base/error.h"
#include "tests/support/fake_verifier.h"
#include "tests/unit/trust/gpg_lab.h"
#include "trust/verifier.h"

namespace actool::trust {
namespace {

using ::testing::HasSubstr;

// One implementation: a verifier that has the key `known`, and a signer with two keys.
class Subject {
 public:
  virtual ~Subject() = default;
  virtual std::unique_ptr<SignatureVerifier> make() = 0;
  virtual std::string sign(bool byKnown, std::string_view bytes) = 0;
  virtual std::string knownFingerprint() = 0;
};

class FakeSubject final : public Subject {
 public:
  std::unique_ptr<SignatureVerifier> make() override {
    return std::make_unique<FakeVerifier>(std::set<std::string>{knownFingerprint()});
  }
  std::string sign(bool byKnown, std::string_view bytes) override {
    return FakeVerifier::sign(byKnown ? knownFingerprint() : std::string(40, 'b'), bytes);
  }
  std::string knownFingerprint() override { return std::string(40, 'a'); }
};

class GpgSubject final : public Subject {
 public:
  GpgSubject()
      : known_(lab_.makeKey("Known <known@example.com>")),
        unknown_(lab_.makeKey("Unknown <unknown@example.com>")) {
    keys_.put("example.com", known_, lab_.publicKey(known_));
  }
  std::unique_ptr<SignatureVerifier> make() override {
    return makeOpenPgpVerifier(keys_.keystore().list());
  }
  std::string sign(bool byKnown, std::string_view bytes) override {
    return lab_.sign(byKnown ? known_ : unknown_, bytes);
  }
  std::string knownFingerprint() override { return known_; }

 private:
  GpgLab lab_;
  KeyDir keys_;
  std::string known_;
  std::string unknown_;
};

struct Implementation {
  const char* name;
  std::function<std::unique_ptr<Subject>()> make;
};

class VerifierConformance : public ::testing::TestWithParam<Implementation> {
 protected:
  void SetUp() override {
    subject_ = GetParam().make();
    verifier_ = subject_->make();
  }

  std::vector<Signer> verify(const std::string& signature, std::string_view bytes,
                             std::size_t piece = 1 << 16) {
    const auto session = verifier_->begin(signature);
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      session->update(std::as_bytes(std::span(bytes.substr(at, piece))));
    }
    return session->finish();
  }

  std::string whyRefused(const std::string& signature, std::string_view bytes) {
    try {
      verify(signature, bytes);
    } catch (const TrustError& error) {
      return error.what();
    }
    return "accepted";
  }

  std::unique_ptr<Subject> subject_;
  std::unique_ptr<SignatureVerifier> verifier_;
};

TEST_P(VerifierConformance, NamesTheSignerOfGoodBytesInPiecesOfAnySize) {
  std::string bytes(300'000, 'x');
  for (std::size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<char>(i * 7 % 251);
  const std::string signature = subject_->sign(true, bytes);
  verifier_->precheck(signature);
  for (const std::size_t piece : {std::size_t{1013}, std::size_t{65536}, bytes.size()}) {
    const std::vector<Signer> signers = verify(signature, bytes, piece);
    ASSERT_EQ(signers.size(), 1U);
    EXPECT_EQ(signers[0].fingerprint, subject_->knownFingerprint());
    EXPECT_EQ(signers[0].signingFingerprint, subject_->knownFingerprint());
    EXPECT_THAT(signers[0].userId, HasSubstr("@example.com>"));
    EXPECT_EQ(signers[0].created.size(), std::string("2026-01-01T00:00:00Z").size());
  }
}

TEST_P(VerifierConformance, TakesBytesOfAnyNumber) {
  std::string all((1 << 20) + 1, 'y');
  for (const std::size_t size : {std::size_t{1}, std::size_t{505}, std::size_t{506},
                                 std::size_t{507}, std::size_t{1 << 20}, all.size()}) {
    const std::string bytes = all.substr(0, size);
    const std::string signature = subject_->sign(true, bytes);
    EXPECT_EQ(verify(signature, bytes).size(), 1U) << size;
    EXPECT_THAT(whyRefused(signature, bytes + 'y'), HasSubstr("bad signature")) << size;
    EXPECT_THAT(whyRefused(signature, bytes.substr(1)), HasSubstr("bad signature")) << size;
  }
}

TEST_P(VerifierConformance, SignsNothingAtAll) {
  EXPECT_EQ(verify(subject_->sign(true, ""), "").size(), 1U);
}

TEST_P(VerifierConformance, AnEmptyUpdateIsNoEnd) {
  const std::string signature = subject_->sign(true, "ab");
  const auto session = verifier_->begin(signature);
  const std::string_view bytes = "ab";
  session->update(std::as_bytes(std::span(bytes.substr(0, 1))));
  session->update({});
  session->update(std::as_bytes(std::span(bytes.substr(1))));
  EXPECT_EQ(session->finish().size(), 1U);
}

TEST_P(VerifierConformance, RefusesOtherBytes) {
  const std::string signature = subject_->sign(true, "the bytes");
  const std::string expected = "bad signature by key " + subject_->knownFingerprint();
  EXPECT_THAT(whyRefused(signature, "the bytez"), HasSubstr(expected));
  EXPECT_THAT(whyRefused(signature, "the byte"), HasSubstr(expected));
  EXPECT_THAT(whyRefused(signature, "the bytes\n"), HasSubstr(expected));
  EXPECT_THAT(whyRefused(signature, ""), HasSubstr(expected));
}

TEST_P(VerifierConformance, RefusesUnknownSignersBeforeAndAfterTheBytes) {
  const std::string signature = subject_->sign(false, "bytes");
  EXPECT_THROW(verifier_->precheck(signature), TrustError);
  EXPECT_THAT(whyRefused(signature, "bytes"), HasSubstr("signed by unknown key"));
}

TEST_P(VerifierConformance, OneKnownSignerIsEnough) {
  const std::string signature = subject_->sign(false, "bytes") + subject_->sign(true, "bytes");
  verifier_->precheck(signature);
  const std::vector<Signer> signers = verify(signature, "bytes");
  ASSERT_EQ(signers.size(), 1U);
  EXPECT_EQ(signers[0].fingerprint, subject_->knownFingerprint());
}

TEST_P(VerifierConformance, RefusesWhatIsNoSignature) {
  for (const std::string text : {"", "\n", "garbage", "<html></html>"}) {
    EXPECT_THROW(verifier_->precheck(text), TrustError) << text;
    EXPECT_THROW(verifier_->begin(text), TrustError) << text;
  }
}

TEST_P(VerifierConformance, SessionsMayBeAbandonedAtAnyTime) {
  const std::string bytes(4 << 20, 'z');
  const std::string signature = subject_->sign(true, bytes);
  verifier_->begin(signature);
  {
    const auto session = verifier_->begin(signature);
    session->update(std::as_bytes(std::span(bytes)));
  }
  EXPECT_EQ(verify(signature, bytes).size(), 1U);
}

TEST_P(VerifierConformance, SessionsRunSideBySideInThreads) {
  const std::string bytes(1 << 20, 'q');
  const std::string signature = subject_->sign(true, bytes);
  std::vector<std::size_t> counts(3, 0);
  std::vector<std::thread> threads;
  for (std::size_t& count : counts) {
    threads.emplace_back([&] { count = verify(signature, bytes).size(); });
  }
  for (std::thread& thread : threads)
    thread.join();
  EXPECT_THAT(counts, ::testing::Each(1U));
}

TEST_P(VerifierConformance, ASessionOutlivesItsVerifier) {
  auto session = verifier_->begin(subject_->sign(true, "bytes"));
  verifier_.reset();
  const std::string_view bytes = "bytes";
  session->update(std::as_bytes(std::span(bytes)));
  EXPECT_EQ(session->finish().size(), 1U);
}

INSTANTIATE_TEST_SUITE_P(
    All, VerifierConformance,
    ::testing::Values(Implementation{"Fake", [] { return std::make_unique<FakeSubject>(); }},
                      Implementation{"OpenPgp", [] { return std::make_unique<GpgSubject>(); }}),
    [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace actool::trust
