// Reading a program ahead of its start.
#pragma once

#include <string>

#include "core/base/fs.h"

namespace actool::run::native {

// Has the kernel read the beginning of `program`, a path in the tree `rootfs`, into its page cache,
// up to 2 MiB. A tree that was mounted for this pod has nothing cached, and its pages would be read
// one fault after the other once the program starts; here another processor reads them while the
// app's process is still at its mounts. The tree may be hostile: only a regular file in it is
// opened, links lead nowhere else. A hint: what can't be read is left to whoever executes it to
// complain about.
void prefetchProgram(const Path& rootfs, const std::string& program);

}  // namespace actool::run::native
