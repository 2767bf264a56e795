#include "run/native/mounts.h"

#include <fcntl.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include <linux/openat2.h>

#include "core/base/error.h"
#include "core/base/strings.h"

namespace actool::run::native {
namespace {

int openAt2(int dir, const std::string& path, int flags, mode_t mode, std::uint64_t resolve) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags) | O_CLOEXEC;
  how.mode = (flags & O_CREAT) != 0 ? mode : 0;
  how.resolve = resolve;
  int fd = -1;
  do {
    // EAGAIN: something was renamed while ".." was followed; the kernel asks to try again.
    fd = static_cast<int>(::syscall(SYS_openat2, dir, path.c_str(), &how, sizeof how));
  } while (fd < 0 && (errno == EINTR || errno == EAGAIN));
  return fd;
}

struct FileOwner {
  uid_t user;
  gid_t group;
};

// Root, or in a pod with IDs of its own that pod's root. A wrong ID changes nothing and is answered
// with the one there is.
FileOwner makerOfFiles() {
  return {static_cast<uid_t>(::setfsuid(static_cast<uid_t>(-1))),
          static_cast<gid_t>(::setfsgid(static_cast<gid_t>(-1)))};
}

std::string quotedPath(const std::string& path) {
  return "\"" + printable(path) + "\"";
}

}  // namespace

UniqueFd openInRoot(int root, const std::string& path, int flags, mode_t mode) {
  UniqueFd fd(openAt2(root, path, flags, mode, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS));
  if (!fd) throwErrno("opening " + quotedPath(path) + " in the app's root");
  return fd;
}

UniqueFd tryOpenInRoot(int root, const std::string& path, int flags, mode_t mode) {
  UniqueFd fd(openAt2(root, path, flags, mode, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS));
  if (!fd && errno != ENOENT && errno != ENOTDIR && errno != ELOOP) {
    throwErrno("opening " + quotedPath(path) + " in the app's root");
  }
  return fd;
}

UniqueFd openWithoutSymlinks(const std::string& path) {
  UniqueFd fd(openAt2(AT_FDCWD, path, O_PATH, 0, RESOLVE_NO_SYMLINKS));
  if (fd) return fd;
  if (errno == ELOOP) {
    throw Error(quotedPath(path) + " is or goes through a symbolic link",
                "name the place that it leads to");
  }
  throwErrno("opening " + quotedPath(path));
}

UniqueFd makeDirInRoot(int root, const std::string& path, mode_t mode) {
  UniqueFd parent = openInRoot(root, "/", O_PATH | O_DIRECTORY);
  std::string done;
  const FileOwner maker = makerOfFiles();
  for (const std::string_view part : split(path, '/')) {
    if (part.empty() || part == ".") continue;
    done.append("/").append(part);
    // From the root each time: a symbolic link of the image may be on the way.
    UniqueFd next = tryOpenInRoot(root, done, O_PATH);
    if (!next) {
      // A symbolic link that leads nowhere is in the way when this says EEXIST.
      const std::string name(part);
      if (::mkdirat(parent.get(), name.c_str(), mode) != 0) {
        throwErrno("making directory " + quotedPath(done) + " in the app's root");
      }
      next = openFileAt(parent.get(), name, O_PATH | O_DIRECTORY | O_NOFOLLOW);
      if (::fchownat(next.get(), "", maker.user, maker.group, AT_EMPTY_PATH) != 0) {
        throwErrno("giving directory " + quotedPath(done) + " to root");
      }
    }
    struct stat info {};
    if (::fstat(next.get(), &info) != 0) throwErrno("looking at " + quotedPath(done));
    if (!S_ISDIR(info.st_mode)) {
      throw Error(quotedPath(done) + " in the app's root is not a directory");
    }
    parent = std::move(next);
  }
  return parent;
}

UniqueFd newMount(const char* type, const MountParameters& parameters, unsigned attributes) {
  const std::string attempt = std::string("mounting ") + type;
  const UniqueFd context(::fsopen(type, FSOPEN_CLOEXEC));
  if (!context) throwErrno(attempt);
  // What mount tables show as the device.
  if (::fsconfig(context.get(), FSCONFIG_SET_STRING, "source", type, 0) != 0) throwErrno(attempt);
  for (const auto& [key, value] : parameters) {
    const int result = value.empty()
                           ? ::fsconfig(context.get(), FSCONFIG_SET_FLAG, key, nullptr, 0)
                           : ::fsconfig(context.get(), FSCONFIG_SET_STRING, key, value.c_str(), 0);
    if (result != 0) throwErrno(attempt + " with " + key);
  }
  if (::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    throwErrno(attempt);
  }
  UniqueFd mount(::fsmount(context.get(), FSMOUNT_CLOEXEC, attributes));
  if (!mount) throwErrno(attempt);
  return mount;
}

UniqueFd cloneMount(int dir, const std::string& path, bool recursive) {
  const unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW |
                         (path.empty() ? AT_EMPTY_PATH : 0U) | (recursive ? AT_RECURSIVE : 0U);
  UniqueFd mount(::open_tree(dir, path.c_str(), flags));
  if (!mount) throwErrno("binding " + (path.empty() ? "a directory" : quotedPath(path)));
  return mount;
}

UniqueFd tryCloneMount(int dir, const char* path) {
  UniqueFd mount(::open_tree(dir, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW));
  if (!mount && errno != ENOENT) throwErrno("binding " + quotedPath(path));
  return mount;
}

void setMountAttributes(int mount, std::uint64_t set, std::uint64_t clear, bool recursive) {
  mount_attr attributes{};
  attributes.attr_set = set;
  attributes.attr_clr = clear;
  const unsigned flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0U);
  if (::mount_setattr(mount, "", flags, &attributes, sizeof attributes) != 0) {
    throwErrno("setting the attributes of a mount");
  }
}

void attachMount(int mount, int target, const std::string& what) {
  if (::move_mount(mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0) {
    throwErrno("mounting " + what);
  }
}

bool tryAttachMountAt(int mount, int dir, const char* path) {
  if (::move_mount(mount, "", dir, path, MOVE_MOUNT_F_EMPTY_PATH) == 0) return true;
  if (errno != ENOENT) throwErrno("mounting over " + quotedPath(path));
  return false;
}

void attachMountAt(int mount, int dir, const char* path) {
  if (!tryAttachMountAt(mount, dir, path)) {
    throw SystemError(ENOENT, "mounting over " + quotedPath(path));
  }
}

UniqueFd mountRoot(const Path& rootfs, bool protect) {
  return withContext("its root", [&] {
    const UniqueFd place = openFile(rootfs, O_PATH | O_DIRECTORY | O_NOFOLLOW);
    UniqueFd root = cloneMount(place.get(), "", false);
    if (protect) setMountAttributes(root.get(), MOUNT_ATTR_NODEV, 0, false);
    attachMount(root.get(), place.get(), "the app's root");
    return root;
  });
}

void makeMountsPrivate() {
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    throwErrno("making mounts private");
  }
}

void enterRoot(int root) {
  if (::fchdir(root) != 0) throwErrno("entering the root directory");
  // With both names the same the old root comes to lie on top of the new one, and goes with the
  // umount that follows: no directory to put it is needed in the image.
  if (::syscall(SYS_pivot_root, ".", ".") != 0) throwErrno("changing the root directory");
  if (::umount2(".", MNT_DETACH) != 0) throwErrno("leaving the host's root directory");
  if (::chdir("/") != 0) throwErrno("entering the root directory");
}

}  // namespace actool::run::native
