#include "core/base/uuid.h"

#include <sys/random.h>

#include <array>
#include <cerrno>

#include "core/base/error.h"
#include "core/base/strings.h"

namespace actool {
namespace {

constexpr std::array<std::size_t, 4> kHyphens{8, 13, 18, 23};

}  // namespace

Uuid Uuid::random() {
  std::array<char, 16> bytes{};
  while (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    if (errno != EINTR) throwErrno("getting random bytes");
  }
  bytes[6] = static_cast<char>((bytes[6] & 0x0f) | 0x40);  // version 4
  bytes[8] = static_cast<char>((bytes[8] & 0x3f) | 0x80);  // RFC 4122 variant
  std::string text = toHex({bytes.data(), bytes.size()});
  for (const std::size_t position : kHyphens)
    text.insert(position, 1, '-');
  return Uuid(std::move(text));
}

std::optional<Uuid> Uuid::parse(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'F') c = static_cast<char>(c - 'A' + 'a');
  }
  if (lower.size() != 36) return std::nullopt;
  std::string digits = lower;
  for (auto position = kHyphens.rbegin(); position != kHyphens.rend(); ++position) {
    if (digits[*position] != '-') return std::nullopt;
    digits.erase(*position, 1);
  }
  if (!isLowerHex(digits)) return std::nullopt;
  return Uuid(std::move(lower));
}

}  // namespace actool
