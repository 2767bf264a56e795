#include "discovery/mirror_config.h"

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/json.h"
#include "core/base/prefix_config.h"
#include "core/base/strings.h"
#include "core/net/url.h"

namespace actool::discovery {
namespace {

constexpr const char* kUrlHint = "write them like \"https://mirror.example.com/\"";

std::string baseOf(const Json& value) {
  if (!value.is_string()) throw UsageError("\"mirrors\" should be a list of URLs", kUrlHint);
  const std::string text = value.get<std::string>();
  const net::Url url = net::Url::parse(text);
  const bool web = url.scheme == "https" || url.scheme == "http";
  if (!web || !url.query.empty())
    throw UsageError(fmt::format("\"{}\" is no mirror's URL", printable(text)), kUrlHint);
  std::string base = url.str;
  while (base.ends_with('/'))
    base.pop_back();
  return base;
}

}  // namespace

MirrorConfig MirrorConfig::load(const ConfigDirs& dirs) {
  MirrorConfig config;
  forEachPrefixConfig(dirs, "mirrors.d", "mirrors",
                      [&](const std::vector<std::string>& prefixes, const Json& content) {
                        MirrorRule rule;
                        for (const Json& value : listMember(content, "mirrors"))
                          rule.bases.push_back(baseOf(value));
                        rule.only = boolMemberOr(content, "only", false);
                        if (rule.only && rule.bases.empty()) {
                          throw UsageError("\"only\" without a mirror leaves nobody to ask",
                                           "list at least one in \"mirrors\"");
                        }
                        for (const std::string& prefix : prefixes)
                          config.set(prefix, rule);
                      });
  return config;
}

void MirrorConfig::set(std::string_view prefix, MirrorRule rule) {
  rules_.insert_or_assign(std::string(prefix), std::move(rule));
}

const MirrorRule* MirrorConfig::find(const schema::AcIdentifier& name) const {
  const MirrorRule* rule = findByPrefix(rules_, name.str());
  return rule == nullptr || rule->bases.empty() ? nullptr : rule;
}

}  // namespace actool::discovery
