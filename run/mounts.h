// The mounts stage0 makes: a mount namespace, overlays, and their undoing.
//
// All of it belongs to a single-threaded process: unshare(2) changes the calling thread only.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/fs.h"

namespace actool::run {

// Gives this process a mount namespace of its own, with "/" a recursive slave of the host's:
// nothing mounted here shows on the host, what the host unmounts goes away here too (a pod
// would otherwise keep the host's file systems busy). Throws SystemError.
void enterMountNamespace();

struct Overlay {
  Path lower;  // absolute
  Path upper;  // may be `target` itself
  Path work;   // on the file system of `upper`
  Path target;
};

// Mounts it, "volatile" where the kernel knows that: pods are no durable data, and an overlay
// without it syncs the whole file system when it goes. False when overlayfs is not to be had
// here: not in the kernel, or not over these file systems. Throws SystemError otherwise.
bool mountOverlay(const Overlay& overlay);

// Whether this is what mountOverlay() and mountReadOnlyOverlay() are told by a kernel that has no
// overlayfs, or one that refuses these file systems as its layers.
bool overlayNotToBeHad(int error);

// A read-only overlay of `upper` over `lower` at `target`. `upper` may be the upper layer of a
// live or a dead volatile overlay. Async-signal-safe once the options were made by the
// other function: it is for a child between fork and exec. Returns 0 or errno.
std::string readOnlyOverlayOptions(const Path& upper, const Path& lower);
int mountReadOnlyOverlay(const char* target, const char* options) noexcept;

// The parts of enterMountNamespace() that a forked child may call. Returns 0 or errno.
int tryEnterMountNamespace() noexcept;

// Makes `target` (a directory that exists and is empty) a copy of the tree `source`: owners,
// modes, times, hard links, extended attributes, devices; links are copied, not followed.
void copyTree(const Path& source, const Path& target);

// Gives `directory` the owner, the mode and the times of the directory that `model` has open (it
// may be an O_PATH descriptor).
void copyDirAttributes(int model, const Path& directory);

// Unmounts, deepest first, everything mounted below `directory` in this mount namespace.
void unmountBelow(const Path& directory);

// The mount points in the text of /proc/self/mountinfo that lie below `directory`, in its order.
std::vector<Path> mountPointsBelow(std::string_view mountinfo, const Path& directory);

}  // namespace actool::run
