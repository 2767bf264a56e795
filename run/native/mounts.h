// The kernel's mount interface by file descriptor, and paths that stay inside an app's root.
//
// No path of an image is ever resolved by name in the host's view: a target is opened beneath the
// root (openat2, RESOLVE_IN_ROOT), and mounts are attached to that descriptor (move_mount).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/base/fd.h"
#include "core/base/fs.h"

namespace actool::run::native {

// openat2(2) of `path` as if `root` were "/": symbolic links are followed inside of it, ".." stops
// at it, links of /proc are refused. Throws SystemError.
UniqueFd openInRoot(int root, const std::string& path, int flags, mode_t mode = 0);
// As above; nothing when the path does not exist (ENOENT, ENOTDIR) or is no place to go (ELOOP).
UniqueFd tryOpenInRoot(int root, const std::string& path, int flags, mode_t mode = 0);

// Opens the host's `path` with O_PATH, refusing every symbolic link on the way (spec/ace.md,
// Volume Setup).
UniqueFd openWithoutSymlinks(const std::string& path);

// mkdir -p of `path` inside `root`, missing directories with mode `mode` and owner 0:0, and the
// last one opened with O_PATH. Throws Error when something there is no directory.
UniqueFd makeDirInRoot(int root, const std::string& path, mode_t mode = 0755);

// A new, detached mount of the file system `type` with `parameters`; MOUNT_ATTR_* `attributes`.
using MountParameters = std::vector<std::pair<const char*, std::string>>;
UniqueFd newMount(const char* type, const MountParameters& parameters, unsigned attributes);

// A detached copy (bind) of the mount that `dir`/`path` is on, rooted there. An empty `path`
// means `dir` itself.
UniqueFd cloneMount(int dir, const std::string& path, bool recursive);

// Sets and clears MOUNT_ATTR_* flags.
void setMountAttributes(int mount, std::uint64_t set, std::uint64_t clear, bool recursive);

// As above; nothing when there is no such path.
UniqueFd tryCloneMount(int dir, const char* path);

// Attaches a detached mount on what `target` has open. `mount` goes on naming it.
void attachMount(int mount, int target, const std::string& what);
// Attaches it at `path` below `dir`, a directory with nothing of the app in it yet: symbolic links
// on the way are followed, one at its end is not.
void attachMountAt(int mount, int dir, const char* path);
// As above; false when there is no such path.
bool tryAttachMountAt(int mount, int dir, const char* path);

// Makes the app's directory a mount of its own, which a root has to be, and returns it. With
// `protect`, a device node that came with the image, or that the app makes, cannot be opened.
UniqueFd mountRoot(const Path& rootfs, bool protect);

// No mount made from here on, in this namespace, shows anywhere else, and the other way round.
void makeMountsPrivate();

// Makes the attached mount `root` this process's "/", with nothing of the old tree left, and goes
// there.
void enterRoot(int root);

}  // namespace actool::run::native
