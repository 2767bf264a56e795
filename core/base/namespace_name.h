// The names of namespaces: tenants of one store who share bytes, but neither names nor trust
// (docs/namespaces.md).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace actool {

class NamespaceName {
 public:
  NamespaceName() = default;  // "default", in which everybody is who names no other

  // Up to 64 lower-case letters, digits, '.', '_' and '-', a letter or digit first. Throws
  // UsageError.
  static NamespaceName parse(std::string_view text);
  static std::optional<NamespaceName> tryParse(std::string_view text);

  const std::string& str() const { return text_; }
  bool isDefault() const { return text_ == kDefault; }
  auto operator<=>(const NamespaceName&) const = default;

 private:
  static constexpr std::string_view kDefault = "default";
  std::string text_{kDefault};
};

}  // namespace actool
