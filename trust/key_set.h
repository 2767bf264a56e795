// The keys that may sign, in a keyring of their own.
#pragma once

#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "trust/keyring.h"
#include "trust/keystore.h"
#include "trust/openpgp_packets.h"

namespace actool::trust {

class KeySet {
 public:
  // Reads and imports the files of `trusted`. One that can't be read as what its name says
  // is warned about and left out: that trusts less, and one broken file must not take the
  // trust in all others away.
  explicit KeySet(const std::vector<TrustedKey>& trusted);

  struct Found {
    const KeyInfo* key = nullptr;
    const SubkeyInfo* subkey = nullptr;  // the primary key or one of its subkeys

    // "key 8b86... (subkey 4dfb...) of "Carly <carly@example.com>"". Safe to print.
    std::string describe() const;
    // Why a signature made with it over `hashAlgorithm` is not accepted whatever it signs;
    // empty when it is.
    std::string refusal(int hashAlgorithm) const;
  };
  // By the fingerprint of the signing (sub)key. Throws TrustError when two primary keys claim
  // one subkey: nobody can tell then whose signature it is.
  std::optional<Found> find(std::string_view signingFingerprint) const;
  // By what a signature says of its maker.
  std::optional<Found> find(const SignaturePacket& signature) const;

  // By the primary key's fingerprint; null when absent.
  const KeyInfo* key(std::string_view fingerprint) const;

  // A context for one check of a signature, which must end before this object. Any thread may ask.
  GpgContext context() const;

 private:
  Keyring keyring_;
  mutable std::mutex mutex_;
  mutable GpgContext spare_;  // the keyring's own, until the first check takes it
  std::vector<KeyInfo> keys_;
};

}  // namespace actool::trust
