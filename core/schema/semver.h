// Semantic Versioning 2.0.0, as AC Version requires (appc spec/types.md).
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace actool::schema {

class SemVer {
 public:
  static SemVer parse(std::string_view text);  // throws Error
  static std::optional<SemVer> tryParse(std::string_view text);
  const std::string& str() const { return text_; }
  std::uint64_t major() const { return major_; }
  std::uint64_t minor() const { return minor_; }
  std::uint64_t patch() const { return patch_; }
  // Precedence of SemVer section 11: build metadata is ignored.
  std::weak_ordering operator<=>(const SemVer& other) const;
  bool operator==(const SemVer& other) const { return (*this <=> other) == 0; }

 private:
  SemVer() = default;
  std::string text_;
  std::uint64_t major_ = 0, minor_ = 0, patch_ = 0;
  std::vector<std::string> prerelease_;
};

// The version of the App Container spec this project implements.
inline constexpr std::string_view kSpecVersion = "0.8.11";

}  // namespace actool::schema
