#include "p2p/sandbox.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "core/base/error.h"
#include "core/base/log.h"

namespace actool::p2p {

namespace {

// Files of the system that resolvers, TLS and the C library open.
const std::vector<Path> kSystemPlaces = {
    "/etc", "/usr", "/lib", "/lib64", "/proc", "/dev", "/run/systemd/resolve"};

constexpr std::uint64_t kReadRights = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr std::uint64_t kFileRights = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE;
constexpr std::uint64_t kWriteRights =
    kReadRights | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
    LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
    LANDLOCK_ACCESS_FS_MAKE_SOCK;
constexpr std::uint64_t kAllRights = kWriteRights | LANDLOCK_ACCESS_FS_EXECUTE |
                                     LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_FIFO |
                                     LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM;

// glibc has no wrappers for these.
int createRuleset(const landlock_ruleset_attr& attr) {
  return static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0));
}

void allowBelow(int ruleset, const Path& path, std::uint64_t rights) {
  const UniqueFd fd(::open(path.c_str(), O_PATH | O_CLOEXEC));
  if (!fd) return;
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) throwErrno("looking at " + path.string());
  if (!S_ISDIR(info.st_mode)) rights &= kFileRights;
  const landlock_path_beneath_attr rule{.allowed_access = rights, .parent_fd = fd.get()};
  if (::syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0) {
    throwErrno("adding a Landlock rule for " + path.string());
  }
}

bool restrictFiles(const std::vector<Path>& readable, const std::vector<Path>& writable) {
  const UniqueFd ruleset(createRuleset({.handled_access_fs = kAllRights}));
  if (!ruleset) {
    log::debug("no Landlock: {}", SystemError(errno, "making a ruleset").what());
    return false;
  }
  for (const auto& path : kSystemPlaces)
    allowBelow(ruleset.get(), path, kReadRights);
  for (const auto& path : readable)
    allowBelow(ruleset.get(), path, kReadRights);
  for (const auto& path : writable)
    allowBelow(ruleset.get(), path, kWriteRights);
  if (::syscall(SYS_landlock_restrict_self, ruleset.get(), 0) != 0) {
    throwErrno("entering a Landlock ruleset");
  }
  return true;
}

bool restrictCalls() {
  struct Release {
    void operator()(scmp_filter_ctx filter) const { ::seccomp_release(filter); }
  };
  // A list of what is refused, not of what is allowed: libraries change which calls they make, and
  // a seeder that dies of an update of libc is of no use.
  const std::unique_ptr<void, Release> filter(::seccomp_init(SCMP_ACT_ALLOW));
  if (!filter) throw Error("making a seccomp filter failed");
  for (const int call : {SCMP_SYS(execve),
                         SCMP_SYS(execveat),
                         SCMP_SYS(ptrace),
                         SCMP_SYS(process_vm_readv),
                         SCMP_SYS(process_vm_writev),
                         SCMP_SYS(mount),
                         SCMP_SYS(umount2),
                         SCMP_SYS(pivot_root),
                         SCMP_SYS(chroot),
                         SCMP_SYS(unshare),
                         SCMP_SYS(setns),
                         SCMP_SYS(bpf),
                         SCMP_SYS(perf_event_open),
                         SCMP_SYS(keyctl),
                         SCMP_SYS(add_key),
                         SCMP_SYS(request_key),
                         SCMP_SYS(init_module),
                         SCMP_SYS(finit_module),
                         SCMP_SYS(delete_module),
                         SCMP_SYS(kexec_load),
                         SCMP_SYS(reboot),
                         SCMP_SYS(open_by_handle_at),
                         SCMP_SYS(mknod),
                         SCMP_SYS(mknodat),
                         SCMP_SYS(setuid),
                         SCMP_SYS(setgid),
                         SCMP_SYS(setresuid),
                         SCMP_SYS(setresgid),
                         SCMP_SYS(userfaultfd),
                         SCMP_SYS(personality)}) {
    // Calls that this architecture has not are left out by the library.
    ::seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(EPERM), call, 0);
  }
  const int code = ::seccomp_load(filter.get());
  if (code == 0) return true;
  log::debug("no seccomp filter: {}", SystemError(-code, "loading it").what());
  return false;
}

}  // namespace

bool enterSandbox(const std::vector<Path>& readable, const std::vector<Path>& writable) {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) throwErrno("giving up new privileges");
  const bool files = restrictFiles(readable, writable);
  const bool calls = restrictCalls();
  return files && calls;
}

}  // namespace actool::p2p
