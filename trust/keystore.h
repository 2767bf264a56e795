// Which keys are trusted for which names, on disk in rkt's layout (pkg/keystore):
//   <config>/trustedkeys/root.d/<fingerprint>               for every name
//   <config>/trustedkeys/prefix.d/<prefix>/<fingerprint>    for a name and all below it
// The '/' in a prefix make nested directories: prefix.d/example.com/foo/<fingerprint>. A file
// holds one OpenPGP public key; its name is the primary key's fingerprint in lower-case hex.
// Prefixes match by component: "example.com/foo" never covers "example.com/foobar".
//
// An empty file is a mask. For a name, the files of one fingerprint whose rules cover the name
// are looked at in rkt's order: root.d of each directory, lowest precedence first, then
// prefix.d of each directory, lowest precedence first, shorter prefixes first. A mask takes
// back everything before it. So a mask for a prefix also takes a root key's trust for that
// prefix away, and a root mask leaves keys that were added for a prefix alone.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/config_file.h"
#include "core/base/fs.h"
#include "core/schema/identifier.h"

namespace actool::trust {

// A rule by which a key is trusted: a prefix, or nothing for root keys.
struct TrustRule {
  std::optional<schema::AcIdentifier> prefix;

  bool covers(const schema::AcIdentifier& name) const;
  std::string str() const;  // "prefix example.com/foo" or "root"
  auto operator<=>(const TrustRule&) const = default;
};

struct TrustedKey {
  TrustRule rule;
  std::string fingerprint;  // primary key, lower-case hex
  Path path;
};

// 40 (version 4 keys) or 64 lower-case hex digits.
bool isFingerprint(std::string_view text);
// As people paste them: upper case, spaces, "0x". Throws UsageError when it is none.
std::string parseFingerprint(std::string_view text);

class Keystore {
 public:
  // `dirs` in order of growing precedence; the user's directory stays out of it unless it is
  // among them. Nothing is read until asked for.
  explicit Keystore(ConfigDirs dirs) : dirs_(std::move(dirs)) {}

  // Every key in force (masked ones left out), sorted by rule and fingerprint. Files whose
  // names are no fingerprints are warned about and left out.
  std::vector<TrustedKey> list() const;
  // The rule with the longest prefix that trusts `fingerprint` for `name`.
  std::optional<TrustedKey> find(const schema::AcIdentifier& name,
                                 std::string_view fingerprint) const;

  // Writes `armored` for `rule` into the directory of highest precedence but the user's
  // (`writeDir`), durably. Returns the path.
  Path add(const Path& writeDir, const TrustRule& rule, std::string_view fingerprint,
           std::string_view armored) const;
  // Removes the file in `writeDir`; NotFoundError when there is none.
  void remove(const Path& writeDir, const TrustRule& rule, std::string_view fingerprint) const;
  // Masks: puts an empty file into `writeDir`.
  Path disable(const Path& writeDir, const TrustRule& rule, std::string_view fingerprint) const;

 private:
  ConfigDirs dirs_;
};

}  // namespace actool::trust
