#include "p2p/mirror/version_pattern.h"

#include <algorithm>

#include "core/schema/semver.h"

namespace actool::mirror {

bool isPattern(std::string_view text) {
  return text.find('*') != std::string_view::npos;
}

bool matchesPattern(std::string_view pattern, std::string_view version) {
  std::size_t p = 0;
  std::size_t v = 0;
  // Where to take up again when a later character does not fit: the last '*' takes one more.
  std::size_t star = std::string_view::npos;
  std::size_t taken = 0;
  while (v < version.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      taken = v;
    } else if (p < pattern.size() && pattern[p] == version[v]) {
      ++p;
      ++v;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      v = ++taken;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

bool isHigherVersion(std::string_view a, std::string_view b) {
  const auto left = schema::SemVer::tryParse(a);
  const auto right = schema::SemVer::tryParse(b);
  if (left && right && (*left <=> *right) != 0) return *left > *right;
  if (left.has_value() != right.has_value()) return left.has_value();
  return a > b;
}

std::vector<std::string> selectVersions(const std::vector<std::string>& patterns,
                                        std::vector<std::string> versions, std::uint64_t keep) {
  std::erase_if(versions, [&](const std::string& version) {
    return std::none_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
      return matchesPattern(pattern, version);
    });
  });
  std::sort(versions.begin(), versions.end(), isHigherVersion);
  versions.erase(std::unique(versions.begin(), versions.end()), versions.end());
  if (keep != 0 && versions.size() > keep) versions.resize(keep);
  return versions;
}

}  // namespace actool::mirror
