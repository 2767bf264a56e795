// rkt's configuration files: JSON objects in `<dir>/<kind>.d/*.json` with "rktKind" and
// "rktVersion", read from the system, the local and the user directory, later ones
// overriding earlier ones (rkt's Documentation/configuration.md).
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "core/base/fs.h"

namespace actool {

// In order of growing precedence. Directories need not exist.
struct ConfigDirs {
  std::vector<Path> dirs;
};

struct ConfigFile {
  Path path;
  std::string kind;     // "auth", "paths", "stage1", ...
  std::string version;  // "v1"
};

// Calls `visit` for each regular file `*.json` of `<dir>/<subdir>` in every directory, lower
// precedence first, by name within a directory. Throws UsageError naming the file when it
// is not a JSON object, lacks rktKind or rktVersion, or its kind is not `kind`.
void forEachConfig(const ConfigDirs& dirs, std::string_view subdir, std::string_view kind,
                   const std::function<void(const ConfigFile&, const nlohmann::json&)>& visit);

}  // namespace actool
