#include "p2p/swarm_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "core/base/error.h"
#include "core/base/json.h"
#include "core/base/prefix_config.h"

namespace actool::p2p {

namespace {

Path pathMember(const Json& content, std::string_view key) {
  const Path path = stringMemberOr(content, key, "");
  if (!path.empty() && !path.is_absolute()) {
    throw UsageError(fmt::format("\"{}\" is no absolute path", key));
  }
  return path;
}

SwarmRule ruleOf(const Json& content) {
  const Path ca = pathMember(content, "ca");
  const Path certificate = pathMember(content, "certificate");
  const Path key = pathMember(content, "key");
  if (certificate.empty() != key.empty() || (ca.empty() && !key.empty())) {
    throw UsageError("\"certificate\" and \"key\" go together, and with \"ca\"");
  }
  SwarmRule rule{.ca = {}, .certificate = certificate, .key = key, .identity = {}};
  if (!ca.empty()) rule.ca = SwarmCa::load(ca);
  return rule;
}

SwarmIdentity identityOf(const SwarmRule& rule) {
  return rule.identity ? *rule.identity : SwarmIdentity::load(rule.certificate, rule.key);
}

}  // namespace

SwarmConfig SwarmConfig::load(const ConfigDirs& dirs) {
  SwarmConfig config;
  forEachPrefixConfig(dirs, "swarms.d", "swarms",
                      [&](const std::vector<std::string>& prefixes, const Json& content) {
                        const SwarmRule rule = ruleOf(content);
                        for (const std::string& prefix : prefixes)
                          config.set(prefix, rule);
                      });
  return config;
}

void SwarmConfig::set(std::string_view prefix, SwarmRule rule) {
  rules_.insert_or_assign(std::string(prefix), std::move(rule));
}

const SwarmRule* SwarmConfig::find(std::string_view name) const {
  return forAll_ ? &*forAll_ : findByPrefix(rules_, name);
}

SwarmIdentity SwarmConfig::identityFor(const SwarmCa& ca) const {
  const auto fits = [&](const SwarmRule& rule) { return !rule.key.empty() && rule.ca == ca; };
  if (forAll_ && fits(*forAll_)) return identityOf(*forAll_);
  for (const auto& [prefix, rule] : rules_) {
    if (fits(rule)) return identityOf(rule);
  }
  throw NotFoundError(
      fmt::format("the swarm admits by certificates of {}, and none is configured", ca.label()),
      "put one into swarms.d, or name it with --swarm-cert");
}

bool SwarmConfig::joinsAny() const {
  return (forAll_ && !forAll_->key.empty()) ||
         std::any_of(rules_.begin(), rules_.end(),
                     [](const auto& rule) { return !rule.second.key.empty(); });
}

void SwarmConfig::readIdentities() {
  const auto read = [](SwarmRule& rule) {
    if (!rule.key.empty()) rule.identity = identityOf(rule);
  };
  if (forAll_) read(*forAll_);
  for (auto& [prefix, rule] : rules_)
    read(rule);
}

void addSwarmOptions(cli::Options& app, SwarmWords& words) {
  app.add("--swarm-ca", words.ca, "authority whose certificates admit to swarms").typeName("FILE");
  app.add("--swarm-cert", words.certificate, "certificate to show in its swarms").typeName("FILE");
  app.add("--swarm-key", words.key, "the certificate's key").typeName("FILE");
}

SwarmConfig swarmConfig(const SwarmWords& words, const ConfigDirs& dirs) {
  SwarmConfig config = SwarmConfig::load(dirs);
  const int given = !words.ca.empty() + !words.certificate.empty() + !words.key.empty();
  if (given == 0) return config;
  if (given != 3) throw UsageError("--swarm-ca, --swarm-cert and --swarm-key go together");
  config.setForAll({.ca = SwarmCa::load(words.ca),
                    .certificate = words.certificate,
                    .key = words.key,
                    .identity = {}});
  return config;
}

}  // namespace actool::p2p
