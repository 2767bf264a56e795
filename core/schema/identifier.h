// AC Identifier and AC Name (appc spec/types.md). Values of these types are always valid.
#pragma once

#include <compare>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace actool::schema {

// ^[a-z0-9]+([-._~/][a-z0-9]+)*$ , at most 1024 bytes: "example.com/reduce-worker". "/~" may
// stand for a separator too, as in types.md's own example "example.com/~user/app_v1".
class AcIdentifier {
 public:
  static constexpr std::size_t kMaxLength = 1024;

  static AcIdentifier parse(std::string_view text);  // throws Error saying what is wrong where
  static std::optional<AcIdentifier> tryParse(std::string_view text);
  const std::string& str() const { return text_; }
  // The path component before the first '/': "example.com".
  std::string_view host() const;
  auto operator<=>(const AcIdentifier&) const = default;

 private:
  explicit AcIdentifier(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

// ^[a-z0-9]+([-][a-z0-9]+)*$ : names of apps, volumes, ports, mount points.
class AcName {
 public:
  static AcName parse(std::string_view text);
  static std::optional<AcName> tryParse(std::string_view text);
  // The nearest valid name, as appc's SanitizeACName: lower case, runs of other characters
  // become one '-', ends trimmed. Throws Error when nothing is left.
  static AcName sanitize(std::string_view text);
  const std::string& str() const { return text_; }
  auto operator<=>(const AcName&) const = default;

 private:
  explicit AcName(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

}  // namespace actool::schema
