#include "cas/duration.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "core/base/error.h"
#include "core/base/strings.h"

namespace actool::cas {

std::chrono::seconds parseDuration(std::string_view text) {
  std::uint64_t total = 0;
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::size_t digits = std::min(rest.find_first_not_of("0123456789"), rest.size());
    const auto count = parseUint(rest.substr(0, digits));
    rest.remove_prefix(digits);
    constexpr std::string_view kUnits = "smhd";
    constexpr std::array<std::uint64_t, 4> kSeconds = {1, 60, 3600, 86400};
    const std::size_t unit = rest.empty() ? 0 : kUnits.find(rest.front());
    constexpr std::uint64_t kMost = 100ULL * 365 * 86400;
    if (!count || unit == std::string_view::npos || *count > kMost) {
      throw UsageError(fmt::format("'{}' is no duration", printable(text)), "write \"24h\"");
    }
    total += *count * kSeconds.at(unit);
    if (!rest.empty()) rest.remove_prefix(1);
  }
  if (text.empty()) throw UsageError("an empty duration", "write \"24h\"");
  return std::chrono::seconds(total);
}

}  // namespace actool::cas
