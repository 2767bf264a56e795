// Which keys are trusted for which names, on disk in rkt's layout:
//   <config>/trustedkeys/root.d/<fingerprint>                  for every name
//   <config>/trustedkeys/prefix.d/<escaped prefix>/<fingerprint>   for a name and all below it
// A file holds one armoured OpenPGP public key; its name is the primary key's fingerprint in
// lower-case hex. An empty file masks the key of that name in directories of lower
// precedence. '/' in a prefix is written ',' in the directory's name, as rkt does.
// Prefixes match by component: "example.com/foo" never covers "example.com/foobar".
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
};

struct TrustedKey {
  TrustRule rule;
  std::string fingerprint;  // primary key, lower-case hex
  Path path;
};

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
