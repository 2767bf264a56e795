// A keyring in a private gpg home: public keys in, what they are and signature checks out.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "trust/gpg_context.h"
#include "trust/key_info.h"

namespace actool::trust {

class Keyring {
 public:
  Keyring();  // empty

  // Imports what parsePublicKeys() gave out. Keys that gpg finds unfit (no valid self-signature)
  // are left out without an error: see keys(). Throws Error when gpg itself fails.
  void import(const std::string& packets);
  // Every key in it, in the order of import.
  std::vector<KeyInfo> keys() const;
  // One key, armoured.
  std::string exportArmored(std::string_view fingerprint) const;

  const GpgHome& home() const noexcept { return home_; }
  // Its context, for a check against its keys. Only home() may be asked for afterwards.
  GpgContext takeContext() noexcept { return std::move(context_); }

 private:
  GpgHome home_;
  GpgContext context_;
};

}  // namespace actool::trust
