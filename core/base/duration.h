// Durations as options and configuration have them: Go's syntax, as in rkt, with days.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace actool {

// "30m", "1h30m", "24h0m0s", "1.5s", "500ms", "7d": one or more decimal numbers with the units
// d, h, m, s, ms. One bare number is seconds. Nothing on other text, negative numbers or more than
// 100 years.
std::optional<std::chrono::milliseconds> parseDuration(std::string_view text);
// As above; UsageError naming `option`.
std::chrono::milliseconds requireDuration(std::string_view text, std::string_view option);

// "41 seconds ago", "2 minutes ago", "3 days ago".
std::string describeAge(std::chrono::system_clock::duration age);

}  // namespace actool
