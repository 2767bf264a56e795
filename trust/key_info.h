// What there is to know of a public key, for decisions and for showing it to people.
#pragma once

#include <gpgme.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/json.h"

namespace actool::trust {

// The primary key or one of its subkeys, as gpg sees it after checking the self-signatures.
struct SubkeyInfo {
  using Time = std::chrono::system_clock::time_point;

  std::string fingerprint;  // lower-case hex
  std::string algorithm;    // "rsa4096", "ed25519"
  unsigned bits = 0;
  bool finiteField = false;  // RSA, DSA, ElGamal: `bits` tells their strength
  Time created;
  std::optional<Time> expires;
  bool canSign = false;
  bool canCertify = false;
  bool canEncrypt = false;
  bool revoked = false;
  bool expired = false;
  bool invalid = false;  // no valid self-signature

  // "revoked", "expired on 2021-01-01", "too short (rsa1024)", or empty when it may be used.
  std::string unusable() const;
};

struct KeyInfo {
  std::string fingerprint;           // of the primary key
  std::vector<std::string> userIds;  // raw: printable() them. Revoked ones only if all are
  std::vector<SubkeyInfo> subkeys;   // the first is the primary key

  const SubkeyInfo& primary() const { return subkeys.front(); }
  const SubkeyInfo* find(std::string_view subkeyFingerprint) const;  // null when absent
  std::string userId() const { return userIds.empty() ? std::string() : userIds.front(); }
  // Why nothing signed with it would be accepted; empty when something would.
  std::string unusable() const;
};

// RSA and DSA keys below this were given up by NIST SP 800-131A in 2013.
inline constexpr unsigned kMinFiniteFieldBits = 2048;

KeyInfo toKeyInfo(gpgme_key_t key);

// In groups of four as gpg shows it, upper case: "8B86 DE38 890D DB72 9186  7B02 ...".
std::string displayFingerprint(std::string_view fingerprint);
// "2026-11-22", in UTC.
std::string displayDate(std::chrono::system_clock::time_point time);
// Several lines, each with '\n': fingerprint, algorithm, dates, user IDs, subkeys. Safe to print.
std::string describeKey(const KeyInfo& key);
// fingerprint, algorithm, created, expires, status, userIds, subkeys.
Json keyJson(const KeyInfo& key);

}  // namespace actool::trust
