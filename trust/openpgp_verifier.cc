#include "core/base/error.h"
#include "trust/key_set.h"
#include "trust/openpgp_packets.h"
#include "trust/openpgp_session.h"
#include "trust/verifier.h"

namespace actool::trust {
namespace {

class OpenPgpVerifier final : public SignatureVerifier {
 public:
  explicit OpenPgpVerifier(const std::vector<TrustedKey>& keys)
      : keys_(std::make_shared<KeySet>(keys)) {}

  void precheck(std::string_view text) override {
    const DetachedSignature signature = parseDetachedSignature(text);
    std::vector<std::string> reasons;
    bool unknown = false;
    for (const SignaturePacket& packet : signature.signatures) {
      if (const auto found = keys_->find(packet)) {
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
    return std::make_unique<OpenPgpSession>(keys_, parseDetachedSignature(signature));
  }

 private:
  std::shared_ptr<const KeySet> keys_;
};

}  // namespace

std::unique_ptr<SignatureVerifier> makeOpenPgpVerifier(const std::vector<TrustedKey>& keys) {
  return std::make_unique<OpenPgpVerifier>(keys);
}

}  // namespace actool::trust
