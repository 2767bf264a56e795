// Root of one's own: an ordinary user's user namespace, for what only root can do with one's own
// files: to give them owners, to remove what such owners made, to mount, to start pods.
//
// In it the user is root, and IDs from 1 on are those that /etc/subuid and /etc/subgid give the
// user, set up by newuidmap(1) and newgidmap(1). Every process that calls this gets a namespace of
// its own with the same IDs, so that what one made another removes. Without ranges, or without
// those programs, root is the only ID there is.
#pragma once

#include <string>
#include <string_view>

#include "core/base/fs.h"

namespace actool {

// Moves this process, which must have no threads, into such a namespace. Nothing happens to one
// that is root, the host's or a namespace's. What root a child of this process is follows from its
// own IDs: programs need no other word. Throws Error saying why the kernel refuses it and what to
// do, and when the ranges are there and cannot be had.
void becomeOwnRoot();

// As what a user of this process's namespace is known to the one around it: the host, of an
// ordinary user's pod. `user` itself where there is no such user.
unsigned outsideUser(unsigned user);

// Why the kernel does not let this user make a user namespace, or mount in one, as a hint: by
// settings below `sysctls` (/proc/sys) and the error number.
std::string whyNoUserNamespace(int errnum, const Path& sysctls = "/proc/sys");

}  // namespace actool
