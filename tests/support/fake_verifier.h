// A SignatureVerifier without gpg, for tests of whatever verifies. A signature is the line
// "fake-signature FINGERPRINT SHA256-OF-THE-BYTES\n"; several lines are several signers. It
// passes the same conformance test as the real one (tests/unit/trust/verifier_conformance_test.cc).
#pragma once

#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/digest.h"
#include "core/base/error.h"
#include "core/base/strings.h"
#include "trust/verifier.h"

namespace actool::trust {

class FakeVerifier final : public SignatureVerifier {
 public:
  // The fingerprints of the keys it has; signatures by others are by unknown keys.
  explicit FakeVerifier(std::set<std::string> fingerprints) : known_(std::move(fingerprints)) {}

  static std::string sign(std::string_view fingerprint, std::string_view bytes) {
    return std::string(kMark) + std::string(fingerprint) + " " +
           digestOf(DigestAlgorithm::sha256, bytes).hex() + "\n";
  }

  void precheck(std::string_view signature) override {
    for (const Claim& claim : parse(signature)) {
      if (known_.contains(claim.fingerprint)) return;
    }
    throw TrustError("signed by unknown key " + parse(signature).front().fingerprint);
  }

  std::unique_ptr<VerifySession> begin(std::string_view signature) override {
    return std::make_unique<Session>(known_, parse(signature));
  }

 private:
  static constexpr std::string_view kMark = "fake-signature ";

  struct Claim {
    std::string fingerprint;
    std::string sha256;
  };

  class Session final : public VerifySession {
   public:
    Session(std::set<std::string> known, std::vector<Claim> claims)
        : known_(std::move(known)), claims_(std::move(claims)) {}

    void update(std::span<const std::byte> bytes) override { hasher_.update(bytes); }

    std::vector<Signer> finish() override {
      const std::string sha256 = hasher_.finish().hex();
      std::vector<Signer> signers;
      std::string reason;
      for (const Claim& claim : claims_) {
        if (!known_.contains(claim.fingerprint)) {
          reason = "signed by unknown key " + claim.fingerprint;
        } else if (claim.sha256 != sha256) {
          reason = "bad signature by key " + claim.fingerprint +
                   ": these are not the bytes that were signed";
        } else {
          signers.push_back({claim.fingerprint, claim.fingerprint, "Fake <fake@example.com>",
                             "2026-01-01T00:00:00Z"});
        }
      }
      if (signers.empty()) throw TrustError(reason);
      return signers;
    }

   private:
    std::set<std::string> known_;
    std::vector<Claim> claims_;
    Hasher hasher_{DigestAlgorithm::sha256};
  };

  static std::vector<Claim> parse(std::string_view signature) {
    std::vector<Claim> claims;
    for (const std::string_view line : split(signature, '\n')) {
      if (line.empty()) continue;
      const auto words = split(line, ' ');
      if (!line.starts_with(kMark) || words.size() != 3 || !isFingerprint(words[1])) {
        throw TrustError("not a fake signature");
      }
      claims.push_back({std::string(words[1]), std::string(words[2])});
    }
    if (claims.empty()) throw TrustError("empty fake signature");
    return claims;
  }

  std::set<std::string> known_;
};

}  // namespace actool::trust
