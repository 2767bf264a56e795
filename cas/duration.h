#pragma once

#include <chrono>
#include <string_view>

namespace actool::cas {

// "24h", "90m", "48h30m", "1d", or seconds. UsageError on anything else.
std::chrono::seconds parseDuration(std::string_view text);

}  // namespace actool::cas
