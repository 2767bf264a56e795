// gpg in a home directory of its own, for making keys and signatures that tests check.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/fs.h"
#include "trust/keystore.h"

namespace actool::trust {

class GpgLab {
 public:
  GpgLab();
  ~GpgLab();  // ends the agent that gpg started for its secret keys

  // What a faked clock says, as gpg wants it: "20200101T000000", with a "!"
  // for one that stands still. Empty: now.
  struct When {
    std::string fakedTime;
  };

  // gpg's standard output; fails the test when gpg does.
  std::string run(const std::vector<std::string>& args, std::string_view input = {},
                  const When& when = {}) const;
  // Makes a key without passphrase and returns its fingerprint in lower case. `usage` is gpg's
  // ("sign,cert", "cert"), `expire` too ("never", "1y").
  std::string makeKey(const std::string& uid, const std::string& algorithm = "ed25519",
                      const std::string& usage = "sign,cert", const std::string& expire = "never",
                      const When& when = {}) const;
  // Adds a subkey and returns its fingerprint.
  std::string addSubkey(const std::string& fingerprint, const std::string& algorithm = "ed25519",
                        const std::string& usage = "sign", const std::string& expire = "never",
                        const When& when = {}) const;
  void revoke(const std::string& fingerprint) const;  // by the certificate made with the key
  void revokeSubkey(const std::string& fingerprint, int index) const;  // 1 is the first
  std::string publicKey(const std::string& fingerprint) const;         // armoured
  std::string secretKey(const std::string& fingerprint) const;
  // Detached and armoured unless `options` say otherwise. `key` may be a subkey's.
  std::string sign(const std::string& key, std::string_view bytes,
                   const std::vector<std::string>& options = {}, const When& when = {}) const;

  const Path& dir() const { return dir_.path(); }

 private:
  std::vector<std::string> fingerprints(const std::string& key = {}) const;

  TempDir dir_;
  Path home_;
};

// A configuration directory with keys in it.
class KeyDir {
 public:
  KeyDir();
  // Puts `content` where a key for `prefix` (empty: root) with this fingerprint would be.
  Path put(const std::string& prefix, const std::string& fingerprint, std::string_view content);
  Keystore keystore() const { return Keystore(ConfigDirs{{dir_.path()}}); }
  const Path& path() const { return dir_.path(); }

 private:
  TempDir dir_;
};

// Live processes, zombies apart, that have `needle` in their command line.
std::vector<pid_t> processesWith(std::string_view needle);

}  // namespace actool::trust
