// Sockets that have a path (unix(7)). A path is at most 107 bytes; a shorter one relative to the
// working directory will do.
#pragma once

#include "core/base/fd.h"
#include "core/base/fs.h"

namespace actool {

// Listens at `path`, in the place of what is there. `type` is SOCK_STREAM or SOCK_SEQPACKET, with
// SOCK_NONBLOCK if wanted. Throws UsageError for a path that is too long, SystemError.
UniqueFd listenUnix(const Path& path, int type, int backlog);

// No descriptor when nobody listens there. Throws as above.
UniqueFd connectUnix(const Path& path, int type);

}  // namespace actool
