// RFC 3339 date-time (appc spec/types.md, Timestamps Type). Keeps the text it came from.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace actool::schema {

class Timestamp {
 public:
  static Timestamp parse(std::string_view text);  // throws Error
  static std::optional<Timestamp> tryParse(std::string_view text);
  const std::string& str() const { return text_; }
  std::chrono::sys_time<std::chrono::nanoseconds> time() const { return time_; }
  bool operator==(const Timestamp& other) const { return time_ == other.time_; }
  auto operator<=>(const Timestamp& other) const { return time_ <=> other.time_; }

 private:
  Timestamp() = default;
  std::string text_;
  std::chrono::sys_time<std::chrono::nanoseconds> time_{};
};

}  // namespace actool::schema
