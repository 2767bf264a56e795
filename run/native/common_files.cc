#include "run/native/common_files.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <system_error>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/base/strings.h"
#include "run/native/mounts.h"

namespace actool::run::native {
namespace {

// `path` inside the root as a regular file, made empty where it is missing; null when something
// else is there. A link that leads nowhere, as /etc/resolv.conf of images often is, is replaced.
UniqueFd makeFileInRoot(int root, const std::string& path, bool& made) {
  made = false;
  const UniqueFd there = tryOpenInRoot(root, path, O_PATH);
  if (there) {
    struct stat info {};
    if (::fstat(there.get(), &info) != 0) throwErrno("looking at the image's " + path);
    if (!S_ISREG(info.st_mode)) throw Error("the image's " + path + " is not a regular file");
    return openInRoot(root, path, O_PATH);
  }
  const std::size_t slash = path.rfind('/');
  const UniqueFd parent = makeDirInRoot(root, path.substr(0, slash));
  const std::string name = path.substr(slash + 1);
  if (::unlinkat(parent.get(), name.c_str(), 0) != 0 && errno != ENOENT) {
    throwErrno("replacing the image's " + path);
  }
  made = true;
  return openFileAt(parent.get(), name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0644);
}

void bindFile(int root, const std::string& path, const Path& source) {
  std::error_code failure;
  const Path real = std::filesystem::canonical(source, failure);
  if (failure) throw SystemError(failure.value(), "opening " + source.string());
  const UniqueFd copy = cloneMount(AT_FDCWD, real, false);
  setMountAttributes(copy.get(), MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, 0,
                     false);
  bool made = false;
  attachMount(copy.get(), makeFileInRoot(root, path, made).get(), path);
}

void provide(int root, const std::string& path, DnsMode mode, const Path& fromStage0) {
  switch (mode) {
    case DnsMode::standard:
      // Of a plugin that knows the network's servers.
      if (path == "/etc/resolv.conf" && actool::exists(fromStage0))
        bindFile(root, path, fromStage0);
      return;
    case DnsMode::none:
      return;
    case DnsMode::host:
      if (exists(path)) bindFile(root, path, path);
      return;
    case DnsMode::stage0:
      bindFile(root, path, fromStage0);
      return;
  }
}

void provideHosts(int root, const std::string& hostname) {
  if (tryOpenInRoot(root, "/etc/hosts", O_PATH)) return;
  bool made = false;
  const UniqueFd file = makeFileInRoot(root, "/etc/hosts", made);
  writeAll(file.get(), "127.0.0.1\tlocalhost " + hostname + "\n::1\tlocalhost " + hostname + "\n",
           "the app's /etc/hosts");
}

}  // namespace

void provideCommonFiles(int root, const PodPlan& pod, const AppPlan& app,
                        const Path& stage1Rootfs) {
  const auto isVolume = [&](std::string_view path) {
    return std::any_of(app.mounts.begin(), app.mounts.end(),
                       [&](const MountPlan& mount) { return hasPathPrefix(path, mount.target); });
  };
  const UniqueFd tmp = tryOpenInRoot(root, "/tmp", O_PATH);
  if (!tmp && !isVolume("/tmp") && ::mkdirat(root, "tmp", 01777) != 0 && errno != EEXIST) {
    throwErrno("making the app's /tmp");
  }
  if (!isVolume("/etc/hosts")) {
    provide(root, "/etc/hosts", pod.options.hosts, stage1Rootfs / "etc/rkt-hosts");
    if (pod.options.hosts == DnsMode::standard) provideHosts(root, pod.hostname);
  }
  if (!isVolume("/etc/resolv.conf")) {
    provide(root, "/etc/resolv.conf", pod.options.resolv, stage1Rootfs / "etc/rkt-resolv.conf");
  }
}

}  // namespace actool::run::native
