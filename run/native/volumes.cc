#include "run/native/volumes.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "core/base/error.h"
#include "core/base/id_map.h"
#include "core/base/log.h"
#include "core/base/strings.h"
#include "run/native/mounts.h"
#include "run/user_namespace.h"

namespace actool::run::native {
namespace {

struct DirCloser {
  void operator()(DIR* dir) const noexcept { ::closedir(dir); }
};

struct stat look(int fd, std::string_view what) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) throwErrno("looking at " + std::string(what));
  return info;
}

bool isEmptyDir(int root, const std::string& path) {
  UniqueFd fd = openInRoot(root, path, O_RDONLY | O_DIRECTORY);
  const std::unique_ptr<DIR, DirCloser> dir(::fdopendir(fd.get()));
  if (!dir) throwErrno("reading directory \"" + printable(path) + "\"");
  fd.release();  // the DIR owns it now
  while (const dirent* entry = ::readdir(dir.get())) {
    if (std::strcmp(entry->d_name, ".") != 0 && std::strcmp(entry->d_name, "..") != 0) return false;
  }
  return true;
}

// The directory of `path` inside the root, made where it is missing, and the last component.
struct Place {
  UniqueFd parent;
  std::string name;
};
Place placeOf(int root, const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return {makeDirInRoot(root, path.substr(0, slash)), path.substr(slash + 1)};
}

UniqueFd directoryTarget(int root, const MountPlan& plan, const std::string& app) {
  const std::string& path = plan.target;
  UniqueFd target = tryOpenInRoot(root, path, O_PATH);
  if (target && S_ISDIR(look(target.get(), path).st_mode)) {
    if (!isEmptyDir(root, path)) {
      log::warn("{}: volume \"{}\" hides what the image has in \"{}\"", app, plan.volume,
                printable(path));
    }
    return target;
  }
  if (target) {
    log::warn("{}: volume \"{}\" replaces the image's file \"{}\" by a directory", app, plan.volume,
              printable(path));
    const Place place = placeOf(root, path);
    if (::unlinkat(place.parent.get(), place.name.c_str(), 0) != 0) {
      throwErrno("removing \"" + printable(path) + "\" to mount a directory there");
    }
  }
  return makeDirInRoot(root, path);
}

UniqueFd fileTarget(int root, const std::string& path) {
  UniqueFd target = tryOpenInRoot(root, path, O_PATH);
  if (!target) {
    const Place place = placeOf(root, path);
    openFileAt(place.parent.get(), place.name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644);
    target = openFileAt(place.parent.get(), place.name, O_PATH | O_NOFOLLOW);
  }
  if (S_ISDIR(look(target.get(), path).st_mode)) {
    throw Error("the source is no directory, but \"" + printable(path) + "\" in the image is one");
  }
  return target;
}

struct Prepared {
  UniqueFd source;
  UniqueFd target;
  mode_t mode = 0;  // of the source
};

Prepared prepare(int root, const MountPlan& plan, const std::string& app) {
  Prepared prepared;
  prepared.source = plan.ofHost ? openWithoutSymlinks(plan.source)
                                : openFile(plan.source, O_PATH | O_DIRECTORY | O_NOFOLLOW);
  prepared.mode = look(prepared.source.get(), plan.source.string()).st_mode;
  prepared.target =
      S_ISDIR(prepared.mode) ? directoryTarget(root, plan, app) : fileTarget(root, plan.target);
  return prepared;
}

UniqueFd bindSource(int source, bool recursive) {
  try {
    return cloneMount(source, "", recursive);
  } catch (const SystemError& error) {
    if (recursive || error.errnum() != EINVAL || !inUserNamespace()) throw;
    throw Error("the kernel does not let a user namespace leave out what is mounted below it",
                "have it recursive, or name a directory with no mounts below");
  }
}

void attach(const Prepared& prepared, const MountPlan& plan, const std::string& app, bool protect,
            int userNamespace) {
  const bool recursive = plan.recursive && S_ISDIR(prepared.mode);
  const UniqueFd mount = bindSource(prepared.source.get(), recursive);
  std::uint64_t attributes = plan.readOnly ? MOUNT_ATTR_RDONLY : 0U;
  const bool device = S_ISCHR(prepared.mode) || S_ISBLK(prepared.mode);
  if (protect && !device) attributes |= MOUNT_ATTR_NODEV;
  if (userNamespace >= 0 && !device && !mapMountOwners(mount.get(), userNamespace, recursive)) {
    log::warn("{}: volume \"{}\" is of a file system whose owners can't be mapped", app,
              plan.volume);
  }
  if (attributes != 0) setMountAttributes(mount.get(), attributes, 0, true);
  attachMount(mount.get(), prepared.target.get(), "the volume");
}

std::string shown(const MountPlan& plan) {
  return "volume \"" + plan.volume + "\" on \"" + printable(plan.target) + "\"";
}

}  // namespace

void mountVolumes(int root, const std::vector<MountPlan>& mounts, const std::string& app,
                  bool protect, int userNamespace) {
  std::vector<Prepared> prepared;
  prepared.reserve(mounts.size());
  for (const MountPlan& plan : mounts) {
    prepared.push_back(withContext(shown(plan), [&] { return prepare(root, plan, app); }));
  }
  for (std::size_t i = 0; i < mounts.size(); ++i) {
    withContext(shown(mounts[i]),
                [&] { attach(prepared[i], mounts[i], app, protect, userNamespace); });
  }
}

}  // namespace actool::run::native
