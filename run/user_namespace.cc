#include "run/user_namespace.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/securebits.h>
#include <sched.h>
#include <signal.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "core/base/error.h"

namespace actool::run {
namespace {

void writeMap(pid_t pid, const char* name, const IdRange& range) {
  const std::string path = fmt::format("/proc/{}/{}", pid, name);
  const UniqueFd file = openFile(path, O_WRONLY);
  writeAll(file.get(), fmt::format("0 {} {}\n", range.first, range.count), path);
}

// The child of makeUserNamespace(), which holds the namespace until it has been opened.
class Holder {
 public:
  explicit Holder(pid_t pid) : pid_(pid) {}
  ~Holder() {
    ::kill(pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  Holder(const Holder&) = delete;
  Holder& operator=(const Holder&) = delete;

 private:
  pid_t pid_;
};

void shiftOne(const Path& path, const IdRange& range) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) throwErrno("looking at " + path.string());
  const auto shifted = [&](std::uint32_t id) { return id < range.count ? range.first + id : id; };
  const uid_t user = shifted(info.st_uid);
  const gid_t group = shifted(info.st_gid);
  if (user == info.st_uid && group == info.st_gid) return;
  if (::lchown(path.c_str(), user, group) != 0)
    throwErrno("changing the owner of " + path.string());
  // Changing the owner takes set-user-ID and set-group-ID away.
  if (!S_ISLNK(info.st_mode) && (info.st_mode & (S_ISUID | S_ISGID)) != 0 &&
      ::chmod(path.c_str(), info.st_mode & 07777) != 0) {
    throwErrno("restoring the mode of " + path.string());
  }
}

}  // namespace

UniqueFd makeUserNamespace(const IdRange& range) {
  const auto pid = static_cast<pid_t>(
      ::syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, nullptr, nullptr, nullptr, 0));
  if (pid < 0) {
    if (errno == EPERM || errno == ENOSPC || errno == EINVAL) {
      const SystemError cause(errno, "making a user namespace");
      throw Error(cause.what(), "this kernel does not let us; run without --private-users");
    }
    throwErrno("making a user namespace");
  }
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    while (true)
      ::pause();
  }
  const Holder holder(pid);
  writeMap(pid, "gid_map", range);
  writeMap(pid, "uid_map", range);
  return openFile(fmt::format("/proc/{}/ns/user", pid), O_RDONLY);
}

UniqueFd detachedMount(const Path& path) {
  UniqueFd mount(::open_tree(AT_FDCWD, path.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  if (!mount) throwErrno("taking the mount of " + path.string());
  return mount;
}

bool mapMountOwners(int mount, int userNamespace, bool recursive) {
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_IDMAP;
  attributes.userns_fd = static_cast<std::uint64_t>(userNamespace);
  const unsigned flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0U);
  if (::mount_setattr(mount, "", flags, &attributes, sizeof attributes) == 0) return true;
  // EPERM: it is mapped already.
  if (errno == EINVAL || errno == EPERM || errno == ENOSYS || errno == EOPNOTSUPP) return false;
  throwErrno("mapping the owners of a mount");
}

FileIdentity::FileIdentity(const IdRange& range) : user_(0), group_(0), bits_(0) {
  bits_ = ::prctl(PR_GET_SECUREBITS, 0, 0, 0, 0);
  if (bits_ < 0 || ::prctl(PR_SET_SECUREBITS, bits_ | SECBIT_NO_SETUID_FIXUP, 0, 0, 0) != 0) {
    throwErrno("keeping capabilities");
  }
  group_ = static_cast<gid_t>(::setfsgid(range.first));
  user_ = static_cast<uid_t>(::setfsuid(range.first));
}

FileIdentity::~FileIdentity() {
  ::setfsuid(user_);
  ::setfsgid(group_);
  ::prctl(PR_SET_SECUREBITS, bits_, 0, 0, 0);
}

void shiftOwners(const Path& tree, const IdRange& range) {
  shiftOne(tree, range);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(tree))
    shiftOne(entry.path(), range);
}

}  // namespace actool::run
