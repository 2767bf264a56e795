// Copies an ACI with another manifest: every other entry stays as it is, byte for byte.
#pragma once

#include <string>

#include "cas/aci_check.h"
#include "cas/aci_output.h"
#include "core/base/fs.h"

namespace actool::cas {

// Writes `output` (which may be `input` itself, with options.overwrite). The manifest entry keeps
// its place, owner, mode and time. The result is checked as any image before it gets its name.
AciSummary replaceManifest(const Path& input, const Path& output, const std::string& manifest,
                           const OutputOptions& options);

}  // namespace actool::cas
