#include "trust/key_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/strings.h"
#include "trust/verifier.h"

namespace actool::trust {

KeySet::KeySet(const std::vector<TrustedKey>& trusted) {
  std::set<std::string> wanted;
  std::vector<const TrustedKey*> read;
  std::string all;
  for (const TrustedKey& key : trusted) {
    try {
      all += parsePublicKeys(readFile(key.path, kMaxKeyBytes), "key file");
      wanted.insert(key.fingerprint);
      read.push_back(&key);
    } catch (const Error& error) {
      log::warn("ignoring {}: {}", printable(key.path.string()), error.what());
    }
  }
  if (all.empty()) return;
  keyring_.import(all);
  // A key that merely lies in another one's file is not one that was chosen.
  for (KeyInfo& info : keyring_.keys()) {
    if (wanted.contains(info.fingerprint)) keys_.push_back(std::move(info));
  }
  for (const TrustedKey* key : read) {
    if (std::none_of(keys_.begin(), keys_.end(),
                     [&](const KeyInfo& info) { return info.fingerprint == key->fingerprint; })) {
      log::warn("ignoring {}: it does not hold a valid key with the fingerprint that is its name",
                printable(key->path.string()));
    }
  }
  spare_ = keyring_.takeContext();
}

GpgContext KeySet::context() const {
  const std::lock_guard lock(mutex_);
  return spare_ ? std::move(spare_) : makeContext(keyring_.home());
}

const KeyInfo* KeySet::key(std::string_view fingerprint) const {
  const auto found = std::find_if(keys_.begin(), keys_.end(), [&](const KeyInfo& info) {
    return info.fingerprint == fingerprint;
  });
  return found == keys_.end() ? nullptr : &*found;
}

std::optional<KeySet::Found> KeySet::find(std::string_view signingFingerprint) const {
  std::optional<Found> found;
  for (const KeyInfo& key : keys_) {
    const SubkeyInfo* subkey = key.find(signingFingerprint);
    if (subkey == nullptr) continue;
    if (found) {
      throw TrustError(fmt::format("signing key {} is claimed by two keys, {} and {}",
                                   signingFingerprint, found->key->fingerprint, key.fingerprint));
    }
    found = Found{&key, subkey};
  }
  return found;
}

std::optional<KeySet::Found> KeySet::find(const SignaturePacket& signature) const {
  if (!signature.issuerFingerprint.empty()) return find(signature.issuerFingerprint);
  if (signature.issuerKeyId.empty()) return std::nullopt;
  for (const KeyInfo& key : keys_) {
    for (const SubkeyInfo& subkey : key.subkeys) {
      // A version 4 key's ID is the end of its fingerprint.
      if (subkey.fingerprint.ends_with(signature.issuerKeyId)) return Found{&key, &subkey};
    }
  }
  return std::nullopt;
}

std::string KeySet::Found::describe() const {
  std::string out = "key " + key->fingerprint;
  if (subkey->fingerprint != key->fingerprint) out += " (subkey " + subkey->fingerprint + ")";
  if (!key->userId().empty()) out += " of \"" + printable(key->userId()) + "\"";
  return out;
}

std::string KeySet::Found::refusal(int hashAlgorithm) const {
  if (!isStrongHash(hashAlgorithm)) {
    return fmt::format("signature by {} over {}, which can be forged", describe(),
                       hashAlgorithmName(hashAlgorithm));
  }
  if (const std::string why = key->primary().unusable(); !why.empty()) {
    return fmt::format("signed by {}, which is {}", describe(), why);
  }
  if (const std::string why = subkey->unusable(); !why.empty()) {
    return fmt::format("signed by {}, whose subkey is {}", describe(), why);
  }
  return {};
}

}  // namespace actool::trust
