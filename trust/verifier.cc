#include "trust/verifier.h"

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/strings.h"

namespace actool::trust {
namespace {

// The rules that `fingerprint` does have: "prefix example.com/foo, root", or "nothing".
std::string rulesOf(const std::vector<TrustedKey>& keys, std::string_view fingerprint) {
  std::vector<std::string> rules;
  for (const TrustedKey& key : keys) {
    if (key.fingerprint == fingerprint) rules.push_back(key.rule.str());
  }
  return rules.empty() ? "nothing" : join(rules, ", ");
}

}  // namespace

TrustDecision requireTrusted(const Keystore& keystore, const schema::AcIdentifier& name,
                             const std::vector<Signer>& signers) {
  for (const Signer& signer : signers) {
    if (const auto key = keystore.find(name, signer.fingerprint)) return {signer, *key};
  }
  const std::vector<TrustedKey> keys = keystore.list();
  std::vector<std::string> reasons;
  reasons.reserve(signers.size());
  for (const Signer& signer : signers) {
    reasons.push_back(fmt::format("key {} ({}), which is trusted for {}", signer.fingerprint,
                                  printable(signer.userId), rulesOf(keys, signer.fingerprint)));
  }
  throw TrustError(
      fmt::format("no key trusted for {} signed it, but {}", printable(name.str()),
                  reasons.empty() ? std::string("nobody") : join(reasons, "; ")),
      fmt::format("if its maker is to be trusted: actool trust add --prefix {} KEY", name.str()));
}

}  // namespace actool::trust
