// Says whether a file is what appc's formats ask for: `actool validate`.
#pragma once

#include <string>
#include <string_view>

#include "core/base/fs.h"

namespace actool::cas {

enum class ValidateType { detect, appImage, layout, manifest };

// "appimage", "layout", "manifest"; throws UsageError on anything else.
ValidateType parseValidateType(std::string_view text);

// What was found to be valid, in words ("app container image"). Throws Error with the path in
// front otherwise; NotFoundError when there is no such file.
std::string validateFile(const Path& path, ValidateType type);

}  // namespace actool::cas
