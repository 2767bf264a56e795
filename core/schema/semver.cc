#include "core/schema/semver.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/base/strings.h"

namespace actool::schema {
namespace {

bool isNumeric(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool hasLeadingZero(std::string_view digits) {
  return digits.size() > 1 && digits[0] == '0';
}

bool isIdentifier(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
  });
}

std::optional<std::uint64_t> coreNumber(std::string_view text) {
  if (!isNumeric(text) || hasLeadingZero(text)) return std::nullopt;
  return parseUint(text);
}

// Section 11.4: numbers below words, numbers by value, words by ASCII order.
std::weak_ordering compareIdentifiers(std::string_view a, std::string_view b) {
  const bool aNumeric = isNumeric(a);
  const bool bNumeric = isNumeric(b);
  if (aNumeric != bNumeric) {
    return aNumeric ? std::weak_ordering::less : std::weak_ordering::greater;
  }
  // Numbers have no leading zeros, so the longer one is the greater, whatever its length.
  if (aNumeric && a.size() != b.size()) return a.size() <=> b.size();
  return a.compare(b) <=> 0;
}

}  // namespace

SemVer SemVer::parse(std::string_view text) {
  if (auto version = tryParse(text)) return *std::move(version);
  throw Error(fmt::format("\"{}\" is no semantic version", printable(text)),
              "it should look like 1.2.3, 1.2.3-rc.1 or 1.2.3+build");
}

std::optional<SemVer> SemVer::tryParse(std::string_view text) {
  SemVer version;
  version.text_ = text;
  if (const auto plus = text.find('+'); plus != std::string_view::npos) {
    for (const std::string_view part : split(text.substr(plus + 1), '.')) {
      if (!isIdentifier(part)) return std::nullopt;
    }
    text = text.substr(0, plus);
  }
  if (const auto hyphen = text.find('-'); hyphen != std::string_view::npos) {
    for (const std::string_view part : split(text.substr(hyphen + 1), '.')) {
      if (!isIdentifier(part) || (isNumeric(part) && hasLeadingZero(part))) return std::nullopt;
      version.prerelease_.emplace_back(part);
    }
    text = text.substr(0, hyphen);
  }
  const auto numbers = split(text, '.');
  if (numbers.size() != 3) return std::nullopt;
  const auto major = coreNumber(numbers[0]);
  const auto minor = coreNumber(numbers[1]);
  const auto patch = coreNumber(numbers[2]);
  if (!major || !minor || !patch) return std::nullopt;
  version.major_ = *major;
  version.minor_ = *minor;
  version.patch_ = *patch;
  return version;
}

std::weak_ordering SemVer::operator<=>(const SemVer& other) const {
  if (const auto order = major_ <=> other.major_; order != 0) return order;
  if (const auto order = minor_ <=> other.minor_; order != 0) return order;
  if (const auto order = patch_ <=> other.patch_; order != 0) return order;
  // A version without a pre-release comes after all of its pre-releases.
  if (prerelease_.empty() || other.prerelease_.empty()) {
    return prerelease_.empty() <=> other.prerelease_.empty();
  }
  const std::size_t common = std::min(prerelease_.size(), other.prerelease_.size());
  for (std::size_t i = 0; i < common; ++i) {
    const auto order = compareIdentifiers(prerelease_[i], other.prerelease_[i]);
    if (order != 0) return order;
  }
  return prerelease_.size() <=> other.prerelease_.size();
}

}  // namespace actool::schema
