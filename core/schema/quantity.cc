#include <fmt/format.h>

#include <limits>
#include <map>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "core/schema/isolator.h"

namespace actool::schema {
namespace {

__extension__ typedef unsigned __int128 Uint128;

// What a suffix multiplies by: 2^binary * 10^decimal.
struct Scale {
  int binary = 0;
  int decimal = 0;
};

std::optional<Scale> scaleOf(std::string_view suffix) {
  static const std::map<std::string_view, Scale> table = {
      {"", {0, 0}},    {"n", {0, -9}},  {"u", {0, -6}},  {"m", {0, -3}},  {"k", {0, 3}},
      {"K", {0, 3}},   {"M", {0, 6}},   {"G", {0, 9}},   {"T", {0, 12}},  {"P", {0, 15}},
      {"E", {0, 18}},  {"Ki", {10, 0}}, {"Mi", {20, 0}}, {"Gi", {30, 0}}, {"Ti", {40, 0}},
      {"Pi", {50, 0}}, {"Ei", {60, 0}}};
  if (const auto found = table.find(suffix); found != table.end()) return found->second;
  // "12e6", "12E-3".
  if (suffix.size() < 2 || (suffix[0] != 'e' && suffix[0] != 'E')) return std::nullopt;
  std::string_view digits = suffix.substr(1);
  const bool negative = digits.starts_with('-');
  if (negative || digits.starts_with('+')) digits.remove_prefix(1);
  const auto exponent = parseUint(digits);
  if (!exponent || *exponent > 100) return std::nullopt;
  const int value = static_cast<int>(*exponent);
  return Scale{0, negative ? -value : value};
}

[[noreturn]] void refuse(std::string_view text, std::string_view why) {
  throw Error(fmt::format("\"{}\" {}", printable(text), why),
              "a quantity is written like 500m, 0.5, 128974848, 2G or 125952Ki");
}

}  // namespace

Quantity Quantity::parse(std::string_view text) {
  constexpr std::size_t kMaxLength = 64;
  if (text.size() > kMaxLength) refuse(text, "has too many digits");
  std::string_view rest = text;
  const bool negative = rest.starts_with('-');
  if (negative || rest.starts_with('+')) rest.remove_prefix(1);

  std::uint64_t mantissa = 0;
  int decimal = 3;  // counted in thousandths
  bool anyDigit = false;
  bool inFraction = false;
  for (; !rest.empty(); rest.remove_prefix(1)) {
    const char c = rest[0];
    if (c == '.' && !inFraction) {
      inFraction = true;
      continue;
    }
    if (c < '0' || c > '9') break;
    anyDigit = true;
    if (inFraction && rest.find_first_of("123456789") == std::string_view::npos) continue;
    if (__builtin_mul_overflow(mantissa, std::uint64_t{10}, &mantissa) ||
        __builtin_add_overflow(mantissa, static_cast<std::uint64_t>(c - '0'), &mantissa)) {
      refuse(text, "has too many digits");
    }
    if (inFraction) --decimal;
  }
  const auto scale = scaleOf(rest);
  if (!anyDigit || !scale) refuse(text, "is no quantity");

  // 2^64 times 2^60 still fits; only the decimal part can overflow.
  Uint128 value = static_cast<Uint128>(mantissa) << scale->binary;
  decimal += scale->decimal;
  for (; decimal < 0 && value != 0; ++decimal) {
    if (value % 10 != 0) refuse(text, "is finer than a thousandth");
    value /= 10;
  }
  for (; decimal > 0 && value != 0; --decimal) {
    if (__builtin_mul_overflow(value, Uint128{10}, &value)) refuse(text, "is too large");
  }
  if (value > static_cast<Uint128>(std::numeric_limits<std::int64_t>::max())) {
    refuse(text, "is too large");
  }
  Quantity quantity;
  quantity.text_ = text;
  quantity.milli_ = static_cast<std::int64_t>(value);
  if (negative) quantity.milli_ = -quantity.milli_;
  return quantity;
}

std::int64_t Quantity::value() const {
  const std::int64_t whole = milli_ / 1000;
  const std::int64_t part = milli_ % 1000;
  if (part == 0) return whole;
  return part > 0 ? whole + 1 : whole - 1;
}

}  // namespace actool::schema
