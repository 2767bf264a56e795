#include "core/base/id_map.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <limits>

#include "core/base/error.h"
#include "core/base/fs.h"
#include "core/base/strings.h"

namespace actool {
namespace {

constexpr std::uint32_t kAllIds = std::numeric_limits<std::uint32_t>::max();
// Of the kernel (UID_GID_MAP_MAX_EXTENTS).
constexpr std::size_t kMostMappings = 340;
constexpr std::size_t kMaxMapText = 64 << 10;

std::optional<std::uint32_t> parseNumber(std::string_view text) {
  const auto number = parseUint(text);
  if (!number || *number > kAllIds) return std::nullopt;
  return static_cast<std::uint32_t>(*number);
}

// Columns are padded with spaces.
std::optional<IdMapping> parseMapping(std::string_view line) {
  std::vector<std::uint32_t> numbers;
  for (const std::string_view word : split(line, ' ')) {
    if (word.empty()) continue;
    const auto number = parseNumber(word);
    if (!number) return std::nullopt;
    numbers.push_back(*number);
  }
  if (numbers.size() != 3 || numbers[2] == 0) return std::nullopt;
  return IdMapping{numbers[0], numbers[1], numbers[2]};
}

}  // namespace

IdMap IdMap::parse(std::string_view text) {
  std::vector<IdMapping> mappings;
  for (const std::string_view line : split(text, '\n')) {
    if (trim(line).empty()) continue;
    const auto mapping = parseMapping(line);
    if (!mapping) throw Error("\"" + printable(line) + "\" is no mapping of IDs");
    mappings.push_back(*mapping);
  }
  return IdMap(std::move(mappings));
}

IdMap IdMap::ofUsers() {
  return parse(readFile("/proc/self/uid_map", kMaxMapText));
}

IdMap IdMap::ofGroups() {
  return parse(readFile("/proc/self/gid_map", kMaxMapText));
}

IdMap IdMap::ofOwnRoot(std::uint32_t own, const std::vector<IdRange>& ranges) {
  std::vector<IdMapping> mappings{{0, own, 1}};
  std::vector<IdRange> taken{{own, 1}};
  std::uint32_t next = 1;
  for (const IdRange& range : ranges) {
    if (mappings.size() == kMostMappings || range.count > kAllIds - next) break;
    const bool clash = std::any_of(taken.begin(), taken.end(),
                                   [&](const IdRange& one) { return one.overlaps(range); });
    if (clash) continue;
    mappings.push_back({next, range.first, range.count});
    taken.push_back(range);
    next += range.count;
  }
  return IdMap(std::move(mappings));
}

bool IdMap::isWhole() const {
  return mappings_ == std::vector<IdMapping>{{0, 0, kAllIds}};
}

std::optional<std::uint32_t> IdMap::outside(std::uint32_t inside) const {
  for (const IdMapping& mapping : mappings_) {
    if (inside >= mapping.inside && inside - mapping.inside < mapping.count) {
      return mapping.outside + (inside - mapping.inside);
    }
  }
  return std::nullopt;
}

std::string IdMap::text() const {
  std::string text;
  for (const IdMapping& mapping : mappings_)
    text += fmt::format("{} {} {}\n", mapping.inside, mapping.outside, mapping.count);
  return text;
}

bool inUserNamespace() {
  // The number of the first one is part of the kernel's interface (USER_NS_INIT_INO of
  // linux/nsfs.h).
  constexpr ino_t kFirst = 0xEFFFFFFD;
  struct stat own {};
  if (::stat("/proc/self/ns/user", &own) == 0 && own.st_ino == kFirst) return false;
  return !IdMap::ofUsers().isWhole();
}

}  // namespace actool
