// RFC 4122 UUIDs, version 4.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace actool {

class Uuid {
 public:
  static Uuid random();                                     // from getrandom(2)
  static std::optional<Uuid> parse(std::string_view text);  // canonical form, either case
  const std::string& str() const { return text_; }          // lower case, with hyphens
  auto operator<=>(const Uuid&) const = default;

 private:
  explicit Uuid(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

}  // namespace actool
