#include "core/base/namespace_name.h"

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/strings.h"

namespace actool {
namespace {

constexpr std::size_t kMaxBytes = 64;
constexpr std::string_view kLettersAndDigits = "abcdefghijklmnopqrstuvwxyz0123456789";
constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyz0123456789._-";

}  // namespace

std::optional<NamespaceName> NamespaceName::tryParse(std::string_view text) {
  // It is a directory's name too: never ".", "..", hidden, or a path.
  if (text.empty() || text.size() > kMaxBytes ||
      kLettersAndDigits.find(text.front()) == std::string_view::npos ||
      text.find_first_not_of(kAllowed) != std::string_view::npos) {
    return std::nullopt;
  }
  NamespaceName name;
  name.text_ = text;
  return name;
}

NamespaceName NamespaceName::parse(std::string_view text) {
  auto name = tryParse(text);
  if (name) return *std::move(name);
  throw UsageError(fmt::format("'{}' is no name for a namespace", printable(text)),
                   "use up to 64 lower-case letters, digits, '.', '_' and '-'");
}

}  // namespace actool
