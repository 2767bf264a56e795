// Which stage1 runs a pod: by option, by configuration, else the `native` one.
#pragma once

#include "core/cli/globals.h"
#include "run/images.h"
#include "run/run_options.h"
#include "run/stage1.h"

namespace actool::run {

// --stage1-path: a directory with `manifest` and `rootfs`, used as it lies; or an image file,
//     fetched with its signature like any image.
// --stage1-from-dir: the same, by its name in the stage1 directory: `stage1-images` of the
//     configuration (rktKind "paths"), else `stage1/` beside the running binary.
// --stage1-name=native|fly|oci|nspawn|vm: those beside the running binary.
// --stage1-name, --stage1-hash, --stage1-url otherwise: an image, found as run's own images are.
// Otherwise rktKind "stage1" of the configuration: name and version are looked for in the
// store, then `location` (an absolute path or a URL) is used. Otherwise stage1/native beside the
// running binary.
// Throws NotFoundError, UsageError, and what fetching and rendering throw.
Stage1 selectStage1(const Stage1Request& request, Images& images, const cli::Globals& globals);

// What configuration says: later directories replace the pair of name and version, and the
// location, separately. Throws UsageError.
struct Stage1Config {
  std::string name;
  std::string version;
  std::string location;
};
Stage1Config readStage1Config(const ConfigDirs& dirs);

}  // namespace actool::run
