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

void makeReadOnly(int mount, const char* path) {
  const UniqueFd copy = tryCloneMount(mount, path);
  if (!copy) return;
  setMountAttributes(copy.get(), MOUNT_ATTR_RDONLY, 0, false);
  attachMountAt(copy.get(), mount, path);
}

UniqueFd inertNull() {
  UniqueFd null = cloneMount(AT_FDCWD, "/dev/null", false);
  setMountAttributes(null.get(), MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, 0, false);
  return null;
}

UniqueFd emptyDirectory() {
  return newMount("tmpfs", {{"mode", "0555"}, {"size", "4k"}}, kInert | MOUNT_ATTR_RDONLY);
}

// Of this network namespace; the host's, as it is mounted, where that is not ours to mount one of.
UniqueFd makeSys() {
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

void Screen::hide(int mount, const char* path) {
  // Only an attached mount can be cloned on kernels before 6.15: the first is the original.
  if (!next_) next_ = original_ ? cloneMount(original_.get(), "", false) : make_();
  if (!tryAttachMountAt(next_.get(), mount, path)) return;
  if (original_) {
    next_.reset();
  } else {
    original_ = std::move(next_);
  }
}

KernelFiles::KernelFiles(int root, bool protect)
    : root_(root), protect_(protect), directories_(&emptyDirectory) {}

UniqueFd KernelFiles::mountProc() {
  UniqueFd proc = newMount("proc", {}, kInert);
  attachMount(proc.get(), apiDirectory(root_, "proc").get(), "/proc");
  if (!protect_) return proc;
  for (const char* path : kReadOnlyProc)
    makeReadOnly(proc.get(), path);
  Screen files(&inertNull);
  for (const char* path : kHiddenProcFiles)
    files.hide(proc.get(), path);
  for (const char* path : kHiddenProcDirs)
    directories_.hide(proc.get(), path);
  return proc;
}

void KernelFiles::mountSys() {
  const UniqueFd sys = makeSys();
  attachMount(sys.get(), apiDirectory(root_, "sys").get(), "/sys");
  if (!protect_) return;
  for (const char* path : kHiddenSysDirs)
    directories_.hide(sys.get(), path);
}

}  // namespace actool::run::native
