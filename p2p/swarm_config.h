// Which swarms admit by certificate: swarms.d and the options that say the same (docs/p2p.md,
// Swarms by certificate).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/config_file.h"
#include "core/cli/options.h"
#include "p2p/swarm_ca.h"

namespace actool::p2p {

// What the operator says of the swarms below a prefix.
struct SwarmRule {
  std::optional<SwarmCa> ca = {};  // nothing: they are open
  Path certificate = {};           // empty: torrents can be made, not joined
  Path key = {};
  std::optional<SwarmIdentity> identity = {};  // of these two files, once it was read
};

class SwarmConfig {
 public:
  // {"rktKind":"swarms","rktVersion":"v1","prefixes":["example.com/team"],"ca":"/etc/...",
  //  "certificate":"/etc/...","key":"/etc/..."} from swarms.d of every directory. Throws UsageError
  // naming the file.
  static SwarmConfig load(const ConfigDirs& dirs);

  void set(std::string_view prefix, SwarmRule rule);
  // For every name, before what stands in files.
  void setForAll(SwarmRule rule) { forAll_ = std::move(rule); }
  // By the longest prefix of whole components; null when nothing is said of the name.
  const SwarmRule* find(std::string_view name) const;
  // What to show to the peers of `ca`, for whatever prefix it is configured. Read only now, if not
  // by readIdentities(): keys that are not needed may be somebody else's. Throws NotFoundError when
  // nothing is configured, and as SwarmIdentity::load().
  SwarmIdentity identityFor(const SwarmCa& ca) const;
  bool joinsAny() const;  // some rule has a certificate
  // Reads the certificates and keys of all rules, for whoever can't do it later.
  void readIdentities();

 private:
  std::optional<SwarmRule> forAll_;
  std::map<std::string, SwarmRule, std::less<>> rules_;
};

// --swarm-ca, --swarm-cert and --swarm-key of `get` and `seed`: a rule for every name.
struct SwarmWords {
  std::string ca;
  std::string certificate;
  std::string key;
};
void addSwarmOptions(cli::Options& app, SwarmWords& words);
// What the files and the options say. Throws UsageError.
SwarmConfig swarmConfig(const SwarmWords& words, const ConfigDirs& dirs);

}  // namespace actool::p2p
