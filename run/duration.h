// Durations as rkt's options have them (Go's syntax).
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace actool::run {

// "30m", "1h30m", "24h0m0s", "1.5s", "500ms", "0": one or more decimal numbers with the units
// h, m, s, ms; a bare 0. Nothing on other text, negative numbers or more than 100 years.
std::optional<std::chrono::milliseconds> parseDuration(std::string_view text);
// As above; UsageError naming `option`.
std::chrono::milliseconds requireDuration(std::string_view text, std::string_view option);

// "41 seconds ago", "2 minutes ago", "3 days ago".
std::string describeAge(std::chrono::system_clock::duration age);

}  // namespace actool::run
