#include "core/base/config_file.h"

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/json.h"

namespace actool {
namespace {

constexpr std::size_t kMaxConfigBytes = 1 << 20;

}  // namespace

void forEachConfig(const ConfigDirs& dirs, std::string_view subdir, std::string_view kind,
                   const std::function<void(const ConfigFile&, const nlohmann::json&)>& visit) {
  for (const Path& dir : dirs.dirs) {
    const Path folder = dir / std::string(subdir);
    for (const std::string& entry : listDir(folder)) {
      const Path path = folder / entry;
      if (path.extension() != ".json") continue;
      const Json content = parseJson(readFile(path, kMaxConfigBytes), path.string());
      try {
        ConfigFile file{path, stringMember(content, "rktKind"),
                        stringMember(content, "rktVersion")};
        if (file.kind != kind) {
          throw UsageError(fmt::format("rktKind is \"{}\"", file.kind),
                           fmt::format("files in {} are of rktKind \"{}\"", folder.string(), kind));
        }
        if (file.version != "v1") {
          throw UsageError(fmt::format("rktVersion \"{}\" is not known", file.version),
                           "this version reads \"v1\"");
        }
        visit(file, content);
      } catch (Error& error) {
        error.addContext(path.string());
        throw;
      }
    }
  }
}

}  // namespace actool
