#include "core/schema/manifest_common.h"

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/strings.h"

namespace actool::schema {

void checkKind(Members& members, std::string_view kind) {
  const std::string found = members.string("acKind");
  if (found != kind) {
    throw Error(fmt::format("acKind: is \"{}\", it should be \"{}\"", printable(found), kind));
  }
}

SemVer specVersion(Members& members) {
  const std::string text = members.string("acVersion");
  return withContext("acVersion", [&] {
    SemVer version = SemVer::parse(text);
    if (version.major() != SemVer::parse(kSpecVersion).major()) {
      throw Error(fmt::format("{} is of another major version than {}, which is known here",
                              printable(text), kSpecVersion));
    }
    return version;
  });
}

void checkUserMaps(const Json& extra) {
  for (const char* key : {"userAnnotations", "userLabels"}) {
    const auto found = extra.find(key);
    if (found == extra.end() || found->is_null()) continue;
    withContext(key, [&] { checkStringMap(*found); });
  }
}

}  // namespace actool::schema
