#include "run/vm/share.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/unix_socket.h"
#include "run/native/mounts.h"

namespace actool::run::vm {
namespace {

constexpr const char* kServers[] = {"/usr/lib/qemu/virtiofsd", "/usr/libexec/virtiofsd"};
constexpr const char* kSocket = "vm/fs";

Path findServer() {
  for (const char* path : kServers) {
    if (::access(path, X_OK) == 0) return path;
  }
  throw NotFoundError(std::string("there is no ") + kServers[0],
                      "volumes and unpacked images need virtiofsd (Debian: qemu-system-common, or "
                      "virtiofsd)");
}

}  // namespace

std::string rootShareName(std::size_t app) {
  return "root-" + std::to_string(app);
}

std::string mountShareName(std::size_t app, std::size_t mount) {
  return "mount-" + std::to_string(app) + "-" + std::to_string(mount);
}

Share::Share(const Path& dir) : dir_(dir) {
  makeDirs(dir, 0700);
  root_ = native::newMount("tmpfs", {{"mode", "0755"}, {"size", "1m"}},
                           MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
  native::attachMount(root_.get(), openFile(dir, O_PATH | O_DIRECTORY).get(), dir.string());
}

void Share::attach(int mount, const std::string& name, bool directory) {
  empty_ = false;
  if (directory) {
    native::attachMount(mount, native::makeDirInRoot(root_.get(), name).get(), name);
  } else {
    native::attachMount(mount, openFileAt(root_.get(), name, O_RDWR | O_CREAT | O_EXCL).get(),
                        name);
  }
}

void Share::addMount(std::size_t app, std::size_t index, const native::MountPlan& mount) {
  withContext("volume \"" + mount.volume + "\"", [&] {
    const UniqueFd source = mount.ofHost ? native::openWithoutSymlinks(mount.source)
                                         : openFile(mount.source, O_PATH | O_NOFOLLOW);
    struct stat info {};
    if (::fstat(source.get(), &info) != 0) throwErrno("looking at " + mount.source.string());
    if (!S_ISDIR(info.st_mode) && !S_ISREG(info.st_mode)) {
      throw UsageError("only directories and files can be given to a virtual machine",
                       "the stage1 \"native\" can give an app a device");
    }
    const UniqueFd copy = native::cloneMount(source.get(), "", mount.recursive);
    native::setMountAttributes(
        copy.get(), MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | (mount.readOnly ? MOUNT_ATTR_RDONLY : 0),
        0, mount.recursive);
    attach(copy.get(), mountShareName(app, index), S_ISDIR(info.st_mode));
  });
}

void Share::addRoot(std::size_t app, const native::AppPlan& plan, bool protect) {
  withContext(plan.shown(), [&] {
    const UniqueFd root = native::cloneMount(AT_FDCWD, plan.rootfs, true);
    native::setMountAttributes(root.get(), (protect ? MOUNT_ATTR_NODEV : 0U) | MOUNT_ATTR_NOSUID, 0,
                               true);
    attach(root.get(), rootShareName(app), true);
  });
}

std::string Share::serve() {
  const Path server = findServer();
  const UniqueFd socket = listenUnix(kSocket, SOCK_STREAM, 1);
  const UniqueFd null = openFile("/dev/null", O_RDWR);
  SpawnOptions options;
  // Attributes have a second's life in the guest, so that it sees what the host changes. Extended
  // ones are how files have capabilities.
  options.argv = {server.string(),
                  "--fd=3",
                  "-o",
                  "source=" + std::filesystem::absolute(dir_).string(),
                  "-o",
                  "sandbox=chroot",
                  "-o",
                  "announce_submounts",
                  "-o",
                  "xattr"};
  const int talk = log::debugEnabled() ? STDERR_FILENO : null.get();
  options.fds = {{0, null.get()}, {1, null.get()}, {2, talk}, {3, socket.get()}};
  options.dieWithParent = true;
  options.newSession = true;
  server_ = Child::spawn(options);
  return kSocket;
}

}  // namespace actool::run::vm
