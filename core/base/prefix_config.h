// Configuration that holds for the names, or places, below a prefix: what mirrors.d and proxies.d
// have in common.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/config_file.h"
#include "core/base/json.h"

namespace actool {

// In a file's list of prefixes: everything.
inline constexpr std::string_view kEveryName = "*";

// As forEachConfig(), for files with a list of "prefixes" ("example.com/team", or "*"), at least
// one. Throws UsageError naming the file when there is none, one is malformed, or one stands
// twice in files of the same directory.
void forEachPrefixConfig(
    const ConfigDirs& dirs, std::string_view subdir, std::string_view kind,
    const std::function<void(const std::vector<std::string>&, const Json&)>& visit);

// `name`, its parents up to the host, and "*", in this order: where to look for what holds for it.
std::vector<std::string_view> prefixesOf(std::string_view name);

// What stands under the longest prefix of `name`, by whole components; null when nothing does.
template <typename Value>
const Value* findByPrefix(const std::map<std::string, Value, std::less<>>& values,
                          std::string_view name) {
  for (const std::string_view prefix : prefixesOf(name)) {
    if (const auto found = values.find(prefix); found != values.end()) return &found->second;
  }
  return nullptr;
}

}  // namespace actool
