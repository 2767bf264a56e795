// Ranges of user or group IDs, as "FIRST:COUNT", and as subuid(5) and subgid(5) give them to users.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace actool {

struct IdRange {
  std::uint32_t first = 0;  // never 0
  std::uint32_t count = 0;  // never 0

  // "FIRST:COUNT". Nothing for what is no such range.
  static std::optional<IdRange> parse(std::string_view text);
  std::string text() const;
  bool overlaps(const IdRange& other) const;
  bool operator==(const IdRange&) const = default;
};

// The ranges of the name in the text of /etc/subuid or /etc/subgid, of all names when it is empty;
// malformed lines are passed over.
std::vector<IdRange> subordinateIds(std::string_view text, std::string_view name);

}  // namespace actool
