#include "core/base/prefix_config.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/base/strings.h"

namespace actool {
namespace {

constexpr const char* kPrefixHint = "write names like \"example.com\" or \"example.com/team\"";

std::string prefixOf(const Json& value) {
  if (!value.is_string()) throw UsageError("\"prefixes\" should be a list of names", kPrefixHint);
  std::string prefix = lowered(value.get<std::string>());
  if (prefix.size() > 1 && prefix.ends_with('/')) prefix.pop_back();
  const bool plain = std::all_of(prefix.begin(), prefix.end(),
                                 [](unsigned char c) { return c > 0x20 && c < 0x7f; });
  if (prefix.empty() || !plain || prefix.starts_with('/') ||
      prefix.find("://") != std::string::npos) {
    throw UsageError(fmt::format("the prefix \"{}\" is no name", printable(prefix)), kPrefixHint);
  }
  return prefix;
}

std::vector<std::string> listOf(const Json& content) {
  const Json& list = listMember(content, "prefixes");
  if (list.empty()) throw UsageError("\"prefixes\" should be a list of names", kPrefixHint);
  std::vector<std::string> prefixes;
  for (const Json& value : list)
    prefixes.push_back(prefixOf(value));
  return prefixes;
}

}  // namespace

void forEachPrefixConfig(
    const ConfigDirs& dirs, std::string_view subdir, std::string_view kind,
    const std::function<void(const std::vector<std::string>&, const Json&)>& visit) {
  for (const Path& dir : dirs.dirs) {
    std::map<std::string, Path> seen;
    forEachConfig(
        ConfigDirs{{dir}}, subdir, kind, [&](const ConfigFile& file, const Json& content) {
          const std::vector<std::string> prefixes = listOf(content);
          for (const std::string& prefix : prefixes) {
            const auto [first, added] = seen.emplace(prefix, file.path);
            if (added) continue;
            throw UsageError(
                fmt::format("the prefix \"{}\" is in {} too", prefix, first->second.string()),
                "a directory may say of a prefix once what holds for it");
          }
          visit(prefixes, content);
        });
  }
}

std::vector<std::string_view> prefixesOf(std::string_view name) {
  std::vector<std::string_view> prefixes;
  while (!name.empty()) {
    prefixes.push_back(name);
    const std::size_t slash = name.rfind('/');
    if (slash == std::string_view::npos) break;
    name = name.substr(0, slash);
  }
  prefixes.push_back(kEveryName);
  return prefixes;
}

}  // namespace actool
