// What image and pod manifests have in common: acKind and acVersion.
#pragma once

#include <string_view>

#include "core/schema/members.h"
#include "core/schema/semver.h"

namespace actool::schema {

// Throws Error unless acKind is `kind`.
void checkKind(Members& members, std::string_view kind);
// acVersion, of the one major version series there is of the spec (types.md, AC Version).
SemVer specVersion(Members& members);
// Throws unless userAnnotations and userLabels, where they are there, are maps of strings.
void checkUserMaps(const Json& extra);

}  // namespace actool::schema
