#include "core/base/duration.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "core/base/error.h"
#include "core/base/strings.h"

namespace actool {
namespace {

// Beyond that a period is a typing mistake, and sums would leave the clock's range.
constexpr double kMaxMilliseconds = 100.0 * 365 * 24 * 3600 * 1000;

std::optional<double> unitMilliseconds(std::string_view unit) {
  if (unit == "d") return 86400000.0;
  if (unit == "h") return 3600000.0;
  if (unit == "m") return 60000.0;
  if (unit == "s") return 1000.0;
  if (unit == "ms") return 1.0;
  return std::nullopt;
}

}  // namespace

std::optional<std::chrono::milliseconds> parseDuration(std::string_view text) {
  if (text.empty()) return std::nullopt;
  const bool bare = text.find_first_not_of("0123456789") == std::string_view::npos;
  double total = 0;
  while (!text.empty()) {
    const std::size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
    double number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + digits, number);
    if (digits == 0 || error != std::errc() || end != text.data() + digits) return std::nullopt;
    text.remove_prefix(digits);
    const std::size_t letters = std::min(text.find_first_of("0123456789."), text.size());
    const std::optional<double> unit = unitMilliseconds(bare ? "s" : text.substr(0, letters));
    if (!unit) return std::nullopt;
    text.remove_prefix(letters);
    total += number * *unit;
    if (total > kMaxMilliseconds) return std::nullopt;
  }
  return std::chrono::milliseconds(static_cast<std::int64_t>(total));
}

std::chrono::milliseconds requireDuration(std::string_view text, std::string_view option) {
  const auto duration = parseDuration(text);
  if (!duration) {
    throw UsageError(fmt::format("{}: '{}' is not a duration", option, printable(text)),
                     "write it as 30m, 24h or 7d");
  }
  return *duration;
}

std::string describeAge(std::chrono::system_clock::duration age) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(age).count();
  const auto say = [](std::int64_t count, std::string_view unit) {
    return fmt::format("{} {}{} ago", count, unit, count == 1 ? "" : "s");
  };
  if (seconds < 1) return "now";
  if (seconds < 60) return say(seconds, "second");
  if (seconds < 3600) return say(seconds / 60, "minute");
  if (seconds < 24 * 3600) return say(seconds / 3600, "hour");
  return say(seconds / (24 * 3600), "day");
}

}  // namespace actool
