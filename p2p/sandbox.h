// What a process that talks to strangers does without: a second wall, for the day when the first
// one, the code that reads what they send, has a hole.
#pragma once

#include <vector>

#include "core/base/fs.h"

namespace actool::p2p {

// From now on this process and all its threads may read below `readable` (and what programs need of
// /etc, /usr, /proc, /dev), read and write below `writable`, and nothing else, by Landlock; and
// can't execute programs, trace others, mount or change identity, by seccomp(2). Paths that do not
// exist are left out. To be called before there are threads. Where the kernel has no Landlock, or
// does not allow a filter, that part is left out: false then, with the reason in the debug log.
bool enterSandbox(const std::vector<Path>& readable, const std::vector<Path>& writable);

}  // namespace actool::p2p
