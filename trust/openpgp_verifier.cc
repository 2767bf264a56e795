#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "trust/key_set.h"
#include "trust/openpgp_packets.h"
#include "trust/openpgp_session.h"
#include "trust/verifier.h"

namespace actool::trust {
namespace {

class OpenPgpVerifier final : public SignatureVerifier {
 public:
  explicit OpenPgpVerifier(std::vector<TrustedKey> keys) : trusted_(std::move(keys)) {}

  void precheck(std::string_view text) override {
    const DetachedSignature signature = parseDetachedSignature(text);
    std::vector<std::string> reasons;
    bool unknown = false;
    for (const SignaturePacket& packet : signature.signatures) {
      if (const auto found = keys()->find(packet)) {
        std::string why = found->refusal(packet.hashAlgorithm);
        if (why.empty()) return;
        reasons.push_back(std::move(why));
      } else {
        unknown = true;
        reasons.push_back("signed by unknown key " + packet.issuer());
      }
    }
    refuseSignatures(reasons, unknown);
  }

  std::unique_ptr<VerifySession> begin(std::string_view signature) override {
    return std::make_unique<OpenPgpSession>(keys(), parseDetachedSignature(signature));
  }

 private:
  // Made when it is needed: gpg takes a while to read them.
  const std::shared_ptr<const KeySet>& keys() {
    std::call_once(made_, [this] { keys_ = std::make_shared<KeySet>(trusted_); });
    return keys_;
  }

  const std::vector<TrustedKey> trusted_;
  std::once_flag made_;
  std::shared_ptr<const KeySet> keys_;
};

}  // namespace

std::unique_ptr<SignatureVerifier> makeOpenPgpVerifier(const std::vector<TrustedKey>& keys) {
  return std::make_unique<OpenPgpVerifier>(keys);
}

}  // namespace actool::trust
