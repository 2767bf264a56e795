// Volumes of an app (spec/ace.md, Volume Setup).
#pragma once

#include <string>
#include <vector>

#include "run/native/plan.h"

namespace actool::run::native {

// Binds the volumes of `mounts` into the app's `root`. A source may be a directory, a file or a
// device; no component of a host volume's path may be a symbolic link. Targets are made where they
// are missing, and a file that is in the way of a directory is replaced; what a volume hides of
// the image is warned about, with `app` in front. All targets are opened before anything is
// mounted, so that no link of the image makes us create directories in another volume. With
// `protect`, device nodes inside of a directory cannot be used: a device is a volume only when it
// is named itself. With `userNamespace` the files' owners are mapped as that maps IDs, and where
// the file system cannot do that there is a warning.
void mountVolumes(int root, const std::vector<MountPlan>& mounts, const std::string& app,
                  bool protect, int userNamespace = -1);

}  // namespace actool::run::native
