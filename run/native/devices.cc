#include "run/native/devices.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "core/base/error.h"
#include "core/base/id_map.h"
#include "run/native/kernel_files.h"
#include "run/native/mounts.h"

namespace actool::run::native {
namespace {

constexpr std::array kNodes = {"null", "zero", "full", "random", "urandom", "tty"};

struct Link {
  const char* name;
  const char* target;
};
constexpr std::array<Link, 5> kLinks = {{{"fd", "/proc/self/fd"},
                                         {"stdin", "/proc/self/fd/0"},
                                         {"stdout", "/proc/self/fd/1"},
                                         {"stderr", "/proc/self/fd/2"},
                                         {"ptmx", "pts/ptmx"}}};

void mountShared(const Path& place, const char* type, const MountParameters& parameters,
                 unsigned attributes) {
  if (::mkdir(place.c_str(), 0755) != 0 && errno != EEXIST) {
    throwErrno("making directory " + place.string());
  }
  const UniqueFd mount = newMount(type, parameters, attributes);
  attachMount(mount.get(), openFile(place, O_PATH | O_DIRECTORY | O_NOFOLLOW).get(), place);
}

void bindNode(int dev, const char* name, const Path& source) {
  // The file only holds the place.
  if (::mknodat(dev, name, S_IFREG, 0) != 0) throwErrno(std::string("making /dev/") + name);
  const UniqueFd node = cloneMount(AT_FDCWD, source, false);
  setMountAttributes(node.get(), MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, MOUNT_ATTR_NODEV, false);
  attachMountAt(node.get(), dev, name);
}

void bindDir(int dev, const char* name, const Path& source) {
  if (::mkdirat(dev, name, 0755) != 0) throwErrno(std::string("making directory /dev/") + name);
  const UniqueFd mount = cloneMount(AT_FDCWD, source, false);
  attachMountAt(mount.get(), dev, name);
}

}  // namespace

SharedDevices::SharedDevices(const Path& stage1Rootfs, bool messageQueues, std::uint32_t firstId)
    : dir_(stage1Rootfs / "dev"), messageQueues_(messageQueues) {
  if (::mkdir(dir_.c_str(), 0755) != 0 && errno != EEXIST) {
    throwErrno("making directory " + dir_.string());
  }
  constexpr unsigned kInert = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  mountShared(shm(), "tmpfs", {{"mode", "1777"}}, kInert);
  MountParameters parameters{{"newinstance", ""}, {"ptmxmode", "0666"}, {"mode", "0620"}};
  // Group 5 is "tty" in every distribution; terminals are its, and not readable by others. A user
  // namespace may not have it.
  const gid_t terminals = firstId + 5;
  if (IdMap::ofGroups().has(terminals)) parameters.emplace_back("gid", std::to_string(terminals));
  mountShared(pts(), "devpts", parameters, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
  if (messageQueues_) mountShared(mqueue(), "mqueue", {}, kInert);
}

UniqueFd SharedDevices::openTerminal(Path& slave) const {
  UniqueFd master = openFile(pts() / "ptmx", O_RDWR | O_NOCTTY);
  const int locked = 0;
  int number = -1;
  if (::ioctl(master.get(), TIOCSPTLCK, &locked) != 0 ||
      ::ioctl(master.get(), TIOCGPTN, &number) != 0) {
    throwErrno("making a terminal");
  }
  slave = pts() / std::to_string(number);
  return master;
}

UniqueFd mountDevices(int root, const SharedDevices& shared, const Path& console) {
  UniqueFd dev = newMount("tmpfs", {{"mode", "0755"}, {"size", "64m"}},
                          MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
  attachMount(dev.get(), apiDirectory(root, "dev").get(), "/dev");
  for (const char* name : kNodes)
    bindNode(dev.get(), name, Path("/dev") / name);
  bindNode(dev.get(), "console", console.empty() ? Path("/dev/null") : console);
  bindDir(dev.get(), "shm", shared.shm());
  bindDir(dev.get(), "pts", shared.pts());
  if (shared.hasMessageQueues()) bindDir(dev.get(), "mqueue", shared.mqueue());
  for (const Link& link : kLinks) {
    if (::symlinkat(link.target, dev.get(), link.name) != 0) {
      throwErrno(std::string("making the link /dev/") + link.name);
    }
  }
  return dev;
}

}  // namespace actool::run::native
