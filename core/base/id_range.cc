#include "core/base/id_range.h"

#include <fmt/format.h>

#include "core/base/strings.h"

namespace actool {
namespace {

// The kernel's "no such ID", which is in no range.
constexpr std::uint64_t kNoSuchId = 0xffffffff;

}  // namespace

std::optional<IdRange> IdRange::parse(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto first = parseUint(text.substr(0, colon));
  const auto count = parseUint(text.substr(colon + 1));
  if (!first || !count || *first == 0 || *count == 0) return std::nullopt;
  if (*first >= kNoSuchId || *count > kNoSuchId - *first) return std::nullopt;
  return IdRange{static_cast<std::uint32_t>(*first), static_cast<std::uint32_t>(*count)};
}

std::string IdRange::text() const {
  return fmt::format("{}:{}", first, count);
}

bool IdRange::overlaps(const IdRange& other) const {
  return std::uint64_t{first} < std::uint64_t{other.first} + other.count &&
         std::uint64_t{other.first} < std::uint64_t{first} + count;
}

std::vector<IdRange> subordinateIds(std::string_view text, std::string_view name) {
  std::vector<IdRange> ranges;
  for (const std::string_view line : split(text, '\n')) {
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    if (!name.empty() && line.substr(0, colon) != name) continue;
    if (const auto range = IdRange::parse(trim(line.substr(colon + 1)))) ranges.push_back(*range);
  }
  return ranges;
}

}  // namespace actool
