#include "core/schema/identifier.h"

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/strings.h"

namespace actool::schema {
namespace {

bool isAlnum(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

// Why `text` is no identifier with these separators, empty when it is one.
std::string defect(std::string_view text, std::string_view separators) {
  if (text.empty()) return "is empty";
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (isAlnum(c)) continue;
    if (separators.find(c) == std::string_view::npos) {
      return fmt::format("has \"{}\" at position {}; only a-z, 0-9 and {} are allowed",
                         printable(text.substr(i, 1)), i + 1, separators);
    }
    if (i == 0) return fmt::format("begins with '{}'; only a-z and 0-9 may stand there", c);
    if (i + 1 == text.size()) {
      return fmt::format("ends with '{}'; only a-z and 0-9 may stand there", c);
    }
    // types.md contradicts itself: its expression has no two separators in a row, and its
    // examples have "example.com/~user/app_v1". The examples are taken, and no more.
    const bool tildeAfterSlash = c == '~' && text[i - 1] == '/';
    if (!isAlnum(text[i - 1]) && !tildeAfterSlash) {
      return fmt::format("has '{}' after '{}' at position {}; a letter or digit must stand between",
                         c, text[i - 1], i + 1);
    }
  }
  return {};
}

std::string defectOfIdentifier(std::string_view text) {
  if (text.size() > AcIdentifier::kMaxLength) {
    return fmt::format("is {} bytes long, the limit is {}", text.size(), AcIdentifier::kMaxLength);
  }
  return defect(text, "-._~/");
}

}  // namespace

AcIdentifier AcIdentifier::parse(std::string_view text) {
  if (const std::string why = defectOfIdentifier(text); !why.empty()) {
    throw Error(fmt::format("the identifier \"{}\" {}", printable(text), why));
  }
  return AcIdentifier(std::string(text));
}

std::optional<AcIdentifier> AcIdentifier::tryParse(std::string_view text) {
  if (!defectOfIdentifier(text).empty()) return std::nullopt;
  return AcIdentifier(std::string(text));
}

std::string_view AcIdentifier::host() const {
  const std::string_view text = text_;
  return text.substr(0, text.find('/'));
}

AcName AcName::parse(std::string_view text) {
  if (const std::string why = defect(text, "-"); !why.empty()) {
    throw Error(fmt::format("the name \"{}\" {}", printable(text), why));
  }
  return AcName(std::string(text));
}

std::optional<AcName> AcName::tryParse(std::string_view text) {
  if (!defect(text, "-").empty()) return std::nullopt;
  return AcName(std::string(text));
}

AcName AcName::sanitize(std::string_view text) {
  std::string result;
  for (const char c : text) {
    const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    if (isAlnum(lower)) {
      result.push_back(lower);
    } else if (!result.empty() && result.back() != '-') {
      result.push_back('-');
    }
  }
  if (result.ends_with('-')) result.pop_back();
  if (result.empty()) {
    throw Error(
        fmt::format("no name can be made of \"{}\"; it has no letter or digit", printable(text)));
  }
  return AcName(std::move(result));
}

}  // namespace actool::schema
