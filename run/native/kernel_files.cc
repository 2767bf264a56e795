#include "run/native/kernel_files.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <string>

#include "core/base/error.h"
#include "run/native/mounts.h"

namespace actool::run::native {
namespace {

constexpr unsigned kInert = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;

// Steering the kernel is the host's: these can be read.
constexpr std::array kReadOnlyProc = {"bus", "fs", "irq", "sys", "sysrq-trigger"};
// The memory, the addresses, the keys and the timing of the host.
constexpr std::array kHiddenProcFiles = {
    "config.gz", "kallsyms",    "kcore",      "key-users",  "keys",
    "kmem",      "kpagecgroup", "kpagecount", "kpageflags", "latency_stats",
    "mem",       "sched_debug", "timer_list", "timer_stats"};
constexpr std::array kHiddenProcDirs = {"acpi", "asound", "scsi"};
constexpr std::array kHiddenSysDirs = {
    "firmware",       "fs",     "hypervisor", "kernel/debug", "kernel/security",
    "kernel/tracing", "module", "power"};

UniqueFd tryOpenPlace(int mount, const char* path) {
  return tryOpenAt(mount, path, O_PATH | O_NOFOLLOW);
}

void makeReadOnly(int mount, const char* path) {
  const UniqueFd place = tryOpenPlace(mount, path);
  if (!place) return;
  const UniqueFd copy = cloneMount(place.get(), "", false);
  setMountAttributes(copy.get(), MOUNT_ATTR_RDONLY, 0, false);
  attachMount(copy.get(), place.get(), std::string("read-only ") + path);
}

// Hides files behind /dev/null and directories behind one empty, read-only directory.
class Screen {
 public:
  void hideFile(int mount, const char* path) {
    const UniqueFd place = tryOpenPlace(mount, path);
    if (!place) return;
    const UniqueFd copy = cloneMount(AT_FDCWD, "/dev/null", false);
    setMountAttributes(copy.get(), MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, 0, false);
    attachMount(copy.get(), place.get(), std::string("over ") + path);
  }

  void hideDir(int mount, const char* path) {
    const UniqueFd place = tryOpenPlace(mount, path);
    if (!place) return;
    // Only an attached mount can be cloned on kernels before 6.15: the first is the original.
    UniqueFd empty =
        empty_ ? cloneMount(empty_.get(), "", false)
               : newMount("tmpfs", {{"mode", "0555"}, {"size", "4k"}}, kInert | MOUNT_ATTR_RDONLY);
    attachMount(empty.get(), place.get(), std::string("over ") + path);
    if (!empty_) empty_ = std::move(empty);
  }

 private:
  UniqueFd empty_;
};

}  // namespace

std::vector<std::string> hiddenKernelFiles() {
  std::vector<std::string> paths;
  paths.reserve(std::size(kHiddenProcFiles) + std::size(kHiddenProcDirs) +
                std::size(kHiddenSysDirs));
  for (const char* path : kHiddenProcFiles)
    paths.push_back(std::string("/proc/") + path);
  for (const char* path : kHiddenProcDirs)
    paths.push_back(std::string("/proc/") + path);
  for (const char* path : kHiddenSysDirs)
    paths.push_back(std::string("/sys/") + path);
  return paths;
}

std::vector<std::string> readOnlyKernelFiles() {
  std::vector<std::string> paths;
  paths.reserve(std::size(kReadOnlyProc));
  for (const char* path : kReadOnlyProc)
    paths.push_back(std::string("/proc/") + path);
  return paths;
}

UniqueFd apiDirectory(int root, const char* name) {
  UniqueFd place = tryOpenAt(root, name, O_PATH | O_NOFOLLOW);
  if (!place) return makeDirInRoot(root, name);
  struct stat info {};
  if (::fstat(place.get(), &info) != 0) throwErrno(std::string("looking at /") + name);
  if (!S_ISDIR(info.st_mode)) {
    throw Error(std::string("the image's /") + name +
                (S_ISLNK(info.st_mode) ? " is a symbolic link" : " is not a directory"));
  }
  return place;
}

// Of this network namespace; the host's, as it is mounted, where that is not ours to mount one of.
UniqueFd mountSys() {
  constexpr unsigned kReadOnly = kInert | MOUNT_ATTR_RDONLY;
  try {
    return newMount("sysfs", {}, kReadOnly);
  } catch (const SystemError& error) {
    if (error.errnum() != EPERM) throw;
  }
  // With all that is mounted below: in a user namespace nothing may be taken off.
  UniqueFd sys = cloneMount(AT_FDCWD, "/sys", true);
  setMountAttributes(sys.get(), kReadOnly, 0, true);
  return sys;
}

UniqueFd mountKernelFiles(int root, bool protect) {
  UniqueFd proc = newMount("proc", {}, kInert);
  attachMount(proc.get(), apiDirectory(root, "proc").get(), "/proc");
  const UniqueFd sys = mountSys();
  attachMount(sys.get(), apiDirectory(root, "sys").get(), "/sys");
  if (!protect) return proc;

  Screen screen;
  for (const char* path : kReadOnlyProc)
    makeReadOnly(proc.get(), path);
  for (const char* path : kHiddenProcFiles)
    screen.hideFile(proc.get(), path);
  for (const char* path : kHiddenProcDirs)
    screen.hideDir(proc.get(), path);
  for (const char* path : kHiddenSysDirs)
    screen.hideDir(sys.get(), path);
  return proc;
}

}  // namespace actool::run::native
