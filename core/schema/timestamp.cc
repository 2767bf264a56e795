#include "core/schema/timestamp.h"

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/strings.h"

namespace actool::schema {
namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;

// Takes `digits` decimal digits off the front of `text`; -1 when they are not there.
int takeNumber(std::string_view& text, std::size_t digits) {
  if (text.size() < digits) return -1;
  const auto value = parseUint(text.substr(0, digits));
  text.remove_prefix(digits);
  return value ? static_cast<int>(*value) : -1;
}

bool take(std::string_view& text, char c) {
  if (!text.starts_with(c)) return false;
  text.remove_prefix(1);
  return true;
}

// ".123": nothing when there is a '.' without a digit. Finer than nanoseconds is cut off.
std::optional<nanoseconds> takeFraction(std::string_view& text) {
  if (!take(text, '.')) return nanoseconds(0);
  std::int64_t value = 0;
  std::size_t digits = 0;
  while (!text.empty() && text[0] >= '0' && text[0] <= '9') {
    if (digits < 9) value = value * 10 + (text[0] - '0');
    ++digits;
    text.remove_prefix(1);
  }
  if (digits == 0) return std::nullopt;
  for (std::size_t i = digits; i < 9; ++i)
    value *= 10;
  return nanoseconds(value);
}

std::optional<seconds> takeOffset(std::string_view& text) {
  if (take(text, 'Z')) return seconds(0);
  const bool negative = text.starts_with('-');
  if (!take(text, '+') && !take(text, '-')) return std::nullopt;
  const int hours = takeNumber(text, 2);
  if (hours < 0 || hours > 23 || !take(text, ':')) return std::nullopt;
  const int minutes = takeNumber(text, 2);
  if (minutes < 0 || minutes > 59) return std::nullopt;
  const seconds offset = std::chrono::hours(hours) + std::chrono::minutes(minutes);
  return negative ? -offset : offset;
}

// A count of 64-bit nanoseconds spans 1677 to 2262. Go's zero time, which stands in real
// manifests, lies outside: it is a valid time and compares as the end of the range.
std::chrono::sys_time<nanoseconds> clampToRange(std::chrono::sys_seconds time,
                                                nanoseconds fraction) {
  using Time = std::chrono::sys_time<nanoseconds>;
  if (time <= std::chrono::ceil<seconds>(Time::min())) return Time::min();
  if (time >= std::chrono::floor<seconds>(Time::max())) return Time::max();
  return time + fraction;
}

}  // namespace

std::optional<Timestamp> Timestamp::tryParse(std::string_view text) {
  Timestamp result;
  result.text_ = text;
  const int year = takeNumber(text, 4);
  if (year < 0 || !take(text, '-')) return std::nullopt;
  const int month = takeNumber(text, 2);
  if (month < 0 || !take(text, '-')) return std::nullopt;
  const int day = takeNumber(text, 2);
  if (day < 0 || !take(text, 'T')) return std::nullopt;
  const int hour = takeNumber(text, 2);
  if (hour < 0 || hour > 23 || !take(text, ':')) return std::nullopt;
  const int minute = takeNumber(text, 2);
  if (minute < 0 || minute > 59 || !take(text, ':')) return std::nullopt;
  const int second = takeNumber(text, 2);
  if (second < 0 || second > 60) return std::nullopt;
  const auto fraction = takeFraction(text);
  if (!fraction) return std::nullopt;
  const auto offset = takeOffset(text);
  if (!offset || !text.empty()) return std::nullopt;

  const std::chrono::year_month_day date{std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok()) return std::nullopt;
  const std::chrono::sys_seconds time = std::chrono::sys_days(date) + std::chrono::hours(hour) +
                                        std::chrono::minutes(minute) + seconds(second) - *offset;
  // Leap seconds come at the end of a UTC day only: ":60" must have led to the next midnight.
  if (second == 60 && std::chrono::floor<std::chrono::days>(time) != time) return std::nullopt;
  result.time_ = clampToRange(time, *fraction);
  return result;
}

Timestamp Timestamp::parse(std::string_view text) {
  if (auto time = tryParse(text)) return *std::move(time);
  throw Error(fmt::format("\"{}\" is no RFC 3339 time", printable(text)),
              "it should look like 2015-05-18T13:49:28Z or 2015-05-18T13:49:28.35-04:00");
}

}  // namespace actool::schema
