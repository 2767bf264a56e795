#include "trust/keyring.h"

#include "core/base/error.h"

namespace actool::trust {

Keyring::Keyring() : context_(makeContext(home_)) {}

void Keyring::import(const std::string& packets) {
  const GpgData data = dataFromMemory(packets);
  check(gpgme_op_import(context_.get(), data.get()), "importing public keys");
  const gpgme_import_result_t result = gpgme_op_import_result(context_.get());
  if (result == nullptr) throw Error("importing public keys: gpg gave no result");
  // parsePublicKeys() lets none through; gpg must not see one either.
  if (result->secret_read > 0) throw TrustError("a secret key among public keys");
}

std::vector<KeyInfo> Keyring::keys() const {
  std::vector<KeyInfo> out;
  check(gpgme_op_keylist_start(context_.get(), nullptr, 0), "listing public keys");
  while (true) {
    gpgme_key_t raw = nullptr;
    const gpgme_error_t error = gpgme_op_keylist_next(context_.get(), &raw);
    if (gpgme_err_code(error) == GPG_ERR_EOF) break;
    check(error, "listing public keys");
    KeyInfo info = toKeyInfo(raw);
    gpgme_key_unref(raw);
    if (!info.subkeys.empty()) out.push_back(std::move(info));
  }
  check(gpgme_op_keylist_end(context_.get()), "listing public keys");
  return out;
}

std::string Keyring::exportArmored(std::string_view fingerprint) const {
  const std::string pattern(fingerprint);
  GpgData data = emptyData();
  gpgme_set_armor(context_.get(), 1);
  check(gpgme_op_export(context_.get(), pattern.c_str(), 0, data.get()),
        "exporting key " + pattern);
  std::string armored = takeData(std::move(data));
  if (armored.empty()) throw Error("exporting key " + pattern + ": gpg gave nothing");
  return armored;
}

}  // namespace actool::trust
