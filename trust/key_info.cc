#include "trust/key_info.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "core/base/strings.h"
#include "trust/gpg_context.h"

namespace actool::trust {
namespace {

SubkeyInfo::Time fromSeconds(long seconds) {
  return std::chrono::system_clock::from_time_t(std::max(0L, seconds));
}

bool isFiniteField(gpgme_pubkey_algo_t algorithm) {
  switch (algorithm) {
    case GPGME_PK_RSA:
    case GPGME_PK_RSA_E:
    case GPGME_PK_RSA_S:
    case GPGME_PK_DSA:
    case GPGME_PK_ELG:
    case GPGME_PK_ELG_E:
      return true;
    default:
      return false;
  }
}

SubkeyInfo toSubkeyInfo(gpgme_subkey_t subkey) {
  SubkeyInfo info;
  info.fingerprint = lowered(orEmpty(subkey->fpr));
  const std::unique_ptr<char, decltype(&gpgme_free)> name(gpgme_pubkey_algo_string(subkey),
                                                          &gpgme_free);
  info.algorithm = name ? name.get() : "unknown";
  info.bits = subkey->length;
  info.finiteField = isFiniteField(subkey->pubkey_algo);
  info.created = fromSeconds(subkey->timestamp);
  if (subkey->expires > 0) info.expires = fromSeconds(subkey->expires);
  info.canSign = subkey->can_sign;
  info.canCertify = subkey->can_certify;
  info.canEncrypt = subkey->can_encrypt;
  info.revoked = subkey->revoked;
  info.expired = subkey->expired;
  info.invalid = subkey->invalid;
  return info;
}

// What it is for: "sign, certify".
std::string usage(const SubkeyInfo& key) {
  std::vector<std::string> words;
  if (key.canSign) words.push_back("sign");
  if (key.canCertify) words.push_back("certify");
  if (key.canEncrypt) words.push_back("encrypt");
  return words.empty() ? "no use" : join(words, ", ");
}

std::string summary(const SubkeyInfo& key) {
  std::string out = fmt::format(
      "{} ({}), created {}, {}", key.algorithm, usage(key), displayDate(key.created),
      key.expires ? "expires " + displayDate(*key.expires) : std::string("never expires"));
  if (const std::string why = key.unusable(); !why.empty()) out += "; " + why;
  return out;
}

Json subkeyJson(const SubkeyInfo& key) {
  Json out{{"fingerprint", key.fingerprint},
           {"algorithm", key.algorithm},
           {"created", formatRfc3339(key.created)},
           {"usage", usage(key)}};
  if (key.expires) out["expires"] = formatRfc3339(*key.expires);
  const std::string why = key.unusable();
  out["status"] = why.empty() ? "usable" : why;
  return out;
}

}  // namespace

std::string SubkeyInfo::unusable() const {
  if (revoked) return "revoked";
  if (expired) return expires ? "expired on " + displayDate(*expires) : "expired";
  if (invalid) return "not valid";
  if (finiteField && bits < kMinFiniteFieldBits) {
    return fmt::format("too short ({}, at least {} bits are needed)", algorithm,
                       kMinFiniteFieldBits);
  }
  return {};
}

const SubkeyInfo* KeyInfo::find(std::string_view subkeyFingerprint) const {
  for (const SubkeyInfo& subkey : subkeys) {
    if (subkey.fingerprint == subkeyFingerprint) return &subkey;
  }
  return nullptr;
}

std::string KeyInfo::unusable() const {
  if (std::string why = primary().unusable(); !why.empty()) return why;
  for (const SubkeyInfo& subkey : subkeys) {
    if (subkey.canSign && subkey.unusable().empty()) return {};
  }
  return "nothing in it can sign";
}

KeyInfo toKeyInfo(gpgme_key_t key) {
  KeyInfo info;
  for (gpgme_subkey_t subkey = key->subkeys; subkey != nullptr; subkey = subkey->next) {
    info.subkeys.push_back(toSubkeyInfo(subkey));
  }
  if (!info.subkeys.empty()) {
    SubkeyInfo& primary = info.subkeys.front();
    info.fingerprint = primary.fingerprint;
    primary.revoked |= static_cast<bool>(key->revoked);
    primary.expired |= static_cast<bool>(key->expired);
    primary.invalid |= static_cast<bool>(key->invalid);
  }
  for (gpgme_user_id_t uid = key->uids; uid != nullptr; uid = uid->next) {
    if (!uid->revoked && !uid->invalid && uid->uid != nullptr) info.userIds.push_back(uid->uid);
  }
  // All of a revoked key's are; people want to know whose it was.
  for (gpgme_user_id_t uid = key->uids; info.userIds.empty() && uid != nullptr; uid = uid->next) {
    if (!uid->invalid && uid->uid != nullptr) info.userIds.push_back(uid->uid);
  }
  return info;
}

std::string displayFingerprint(std::string_view fingerprint) {
  std::string out;
  for (std::size_t i = 0; i < fingerprint.size(); ++i) {
    if (i > 0 && i % 4 == 0) out += i == fingerprint.size() / 2 ? "  " : " ";
    const char c = fingerprint[i];
    out += c >= 'a' && c <= 'f' ? static_cast<char>(c - 'a' + 'A') : c;
  }
  return out;
}

std::string displayDate(std::chrono::system_clock::time_point time) {
  return formatRfc3339(time).substr(0, 10);
}

std::string describeKey(const KeyInfo& key) {
  std::string out = "  fingerprint: " + displayFingerprint(key.fingerprint) + "\n";
  out += "    " + summary(key.primary()) + "\n";
  for (const std::string& uid : key.userIds)
    out += "    user ID: " + printable(uid) + "\n";
  for (std::size_t i = 1; i < key.subkeys.size(); ++i) {
    out += "    subkey: " + displayFingerprint(key.subkeys[i].fingerprint) + "\n";
    out += "      " + summary(key.subkeys[i]) + "\n";
  }
  return out;
}

Json keyJson(const KeyInfo& key) {
  Json out = subkeyJson(key.primary());
  out["userIds"] = key.userIds;
  const std::string why = key.unusable();
  out["status"] = why.empty() ? "usable" : why;
  out["subkeys"] = Json::array();
  for (std::size_t i = 1; i < key.subkeys.size(); ++i) {
    out["subkeys"].push_back(subkeyJson(key.subkeys[i]));
  }
  return out;
}

}  // namespace actool::trust
