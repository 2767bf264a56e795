// JSON from outside: nlohmann/json with limits and with errors of our own family.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

// Compiled once, in json.cc, instead of in each source file.
extern template class nlohmann::basic_json<>;
extern template class nlohmann::detail::serializer<nlohmann::json>;

namespace actool {

using Json = nlohmann::json;

struct JsonLimits {
  std::size_t bytes = 1 << 20;  // a manifest of the largest real images is a few kB
  int depth = 64;               // what nests deeper is an attack on the parser's stack
};

// Throws Error ("<what>:LINE:COLUMN: ...") on invalid UTF-8, syntax errors, duplicate keys
// in one object, or anything over the limits.
Json parseJson(std::string_view text, std::string_view what, const JsonLimits& limits = {});

// Members of a known type; each throws Error naming `key` and what was found instead.
const Json& member(const Json& object, std::string_view key);
std::string stringMember(const Json& object, std::string_view key);
std::string stringMemberOr(const Json& object, std::string_view key, std::string fallback);
bool boolMemberOr(const Json& object, std::string_view key, bool fallback);
const Json& listMember(const Json& object, std::string_view key);

// Sorted keys, no spaces, one line, invalid UTF-8 impossible: what records are written as.
std::string dumpLine(const Json& value);
// Indented by four, for people and for manifests.
std::string dumpPretty(const Json& value);

}  // namespace actool
