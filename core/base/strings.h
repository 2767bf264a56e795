// Small string functions that have one implementation each.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace actool {

std::vector<std::string_view> split(std::string_view text, char separator);
std::string_view trim(std::string_view text);  // spaces, tabs, CR, LF
std::string join(const std::vector<std::string>& parts, std::string_view separator);
bool isLowerHex(std::string_view text);
std::string toHex(std::string_view bytes);
std::string lowered(std::string_view text);  // ASCII letters only

// Decimal digits only, no sign, no overflow; nothing otherwise.
std::optional<std::uint64_t> parseUint(std::string_view text);

// "64MiB", "1GiB", "2GB", "4096": a count of bytes with an optional binary or metric
// suffix; nothing otherwise.
std::optional<std::uint64_t> parseByteSize(std::string_view text);
std::string formatByteSize(std::uint64_t bytes);  // "93.4 MiB"

// True when `prefix` is a whole-component prefix of `name`: equal, or followed by '/' in
// `name`. "example.com/foo" covers "example.com/foo" and "example.com/foo/bar", never
// "example.com/foobar". The one implementation for trust, discovery, mirrors and paths.
bool hasPathPrefix(std::string_view name, std::string_view prefix);

// For messages: control characters, quotes and invalid UTF-8 escaped as \xNN, at most
// `limit` bytes of it, then "...". What came from outside is never printed raw.
std::string printable(std::string_view text, std::size_t limit = 200);

// The candidate closest to `word` by edit distance when it is at most 2 away; for
// "did you mean".
std::optional<std::string> nearest(std::string_view word,
                                   const std::vector<std::string>& candidates);

}  // namespace actool
