// Signature verification as an interface. OpenPgpVerifier (gpgme) is the real one.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/schema/identifier.h"
#include "trust/keystore.h"

namespace actool::trust {

// An armoured detached signature is a kB or less; several signers fit easily.
inline constexpr std::size_t kMaxSignatureBytes = 256 << 10;
inline constexpr std::size_t kMaxKeyBytes = 4 << 20;

// One good signature: valid, by a key that is neither expired nor revoked.
struct Signer {
  std::string fingerprint;         // of the primary key, lower-case hex
  std::string signingFingerprint;  // of the (sub)key that made the signature
  std::string userId;
  std::string created;  // RFC 3339, of the signature
};

// Verifies one detached signature over bytes that come in pieces. Memory is bounded.
class VerifySession {
 public:
  virtual ~VerifySession() = default;
  // Whether update() takes bytes at once. Who has something else to do may come with them later.
  virtual bool ready() { return true; }
  // May block while the verifier catches up. Throws Error when the verifier has died.
  virtual void update(std::span<const std::byte> bytes) = 0;
  // The bytes are over. Every good signature, at least one; otherwise TrustError naming why
  // (bad signature, unknown key, expired or revoked key or signature) and the key.
  virtual std::vector<Signer> finish() = 0;
};

class SignatureVerifier {
 public:
  virtual ~SignatureVerifier() = default;
  // Looks at the signature alone, before any byte of what it signs is fetched: TrustError when
  // it is no signature, or none of its makers is a key of `keys`.
  virtual void precheck(std::string_view signature) = 0;
  virtual std::unique_ptr<VerifySession> begin(std::string_view signature) = 0;
};

// Over gpgme, with a home directory of its own that is made and filled with `keys` by the first
// call, and removed with this object; never the user's keyring, no network, no agent. Keys are
// passed in from Keystore::list(): whether a signer is trusted *for a name* is requireTrusted()'s
// answer.
std::unique_ptr<SignatureVerifier> makeOpenPgpVerifier(const std::vector<TrustedKey>& keys);

struct TrustDecision {
  Signer signer;
  TrustedKey key;
};

// The first of `signers` whose key `keystore` trusts for `name`. TrustError naming the signer
// and the rules it does have otherwise.
TrustDecision requireTrusted(const Keystore& keystore, const schema::AcIdentifier& name,
                             const std::vector<Signer>& signers);

}  // namespace actool::trust
