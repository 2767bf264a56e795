#include "core/base/fs.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "core/base/error.h"

namespace actool {
namespace {

struct DirCloser {
  void operator()(DIR* dir) const noexcept { ::closedir(dir); }
};
using UniqueDir = std::unique_ptr<DIR, DirCloser>;

UniqueDir openDir(UniqueFd fd, const std::string& shown) {
  DIR* dir = ::fdopendir(fd.get());
  if (dir == nullptr) throwErrno("reading directory " + shown);
  fd.release();  // the DIR owns it now
  return UniqueDir(dir);
}

bool isDots(const char* name) {
  return std::strcmp(name, ".") == 0 || std::strcmp(name, "..") == 0;
}

// Empties the directory `fd`, staying on `device`.
void removeContents(UniqueFd fd, dev_t device, const std::string& shown) {
  const UniqueDir dir = openDir(std::move(fd), shown);
  const int dirFd = ::dirfd(dir.get());
  errno = 0;
  while (const dirent* entry = ::readdir(dir.get())) {
    if (isDots(entry->d_name)) continue;
    const std::string path = shown + "/" + entry->d_name;
    // Directories are told by what opens as one without following a link, not by an earlier
    // look: between the look and the act the entry could be another.
    const int child = ::openat(dirFd, entry->d_name,
                               O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (child >= 0) {
      UniqueFd childFd(child);
      struct stat info {};
      if (::fstat(child, &info) != 0) throwErrno("looking at " + path);
      if (info.st_dev != device) {
        throw Error("removing " + path + ": another file system is mounted there",
                    "unmount it first");
      }
      removeContents(std::move(childFd), device, path);
      if (::unlinkat(dirFd, entry->d_name, AT_REMOVEDIR) != 0 && errno != ENOENT) {
        throwErrno("removing directory " + path);
      }
    } else if (errno == ENOTDIR || errno == ELOOP) {
      if (::unlinkat(dirFd, entry->d_name, 0) != 0 && errno != ENOENT) {
        throwErrno("removing " + path);
      }
    } else if (errno != ENOENT) {
      throwErrno("opening " + path);
    }
    errno = 0;
  }
  if (errno != 0) throwErrno("reading directory " + shown);
}

void writeTo(const Path& path, int flags, std::string_view content, mode_t mode, bool sync) {
  const UniqueFd fd = openFile(path.string(), flags, mode);
  writeAll(fd.get(), content, path.string());
  if (sync && ::fsync(fd.get()) != 0) throwErrno("syncing " + path.string());
}

}  // namespace

std::optional<std::string> tryReadFile(const Path& path, std::size_t limit) {
  const UniqueFd fd = tryOpen(path.string(), O_RDONLY);
  if (!fd) return std::nullopt;
  return readAll(fd.get(), limit, path.string());
}

std::string readFile(const Path& path, std::size_t limit) {
  std::optional<std::string> text = tryReadFile(path, limit);
  if (!text) throw NotFoundError(path.string() + " does not exist");
  return std::move(*text);
}

void writeFileAtomic(const Path& path, std::string_view content, mode_t mode) {
  std::string temp = (path.parent_path() / ("." + path.filename().string() + ".XXXXXX")).string();
  UniqueFd fd(::mkostemp(temp.data(), O_CLOEXEC));
  if (!fd) throwErrno("creating a temporary file for " + path.string());
  try {
    writeAll(fd.get(), content, temp);
    if (::fchmod(fd.get(), mode) != 0) throwErrno("setting the mode of " + temp);
    if (::fsync(fd.get()) != 0) throwErrno("syncing " + temp);
    // The point of no return.
    if (::rename(temp.c_str(), path.c_str()) != 0) throwErrno("renaming to " + path.string());
  } catch (...) {
    ::unlink(temp.c_str());
    throw;
  }
  syncDir(path.parent_path());
}

void writeFilePlain(const Path& path, std::string_view content, mode_t mode) {
  writeTo(path, O_WRONLY | O_CREAT | O_TRUNC, content, mode, false);
}

void makeDirs(const Path& path, mode_t mode) {
  if (path.empty()) return;
  for (;;) {
    if (::mkdir(path.c_str(), mode) == 0) return;
    if (errno == ENOENT && path.has_parent_path() && path.parent_path() != path) {
      makeDirs(path.parent_path(), mode);
      if (::mkdir(path.c_str(), mode) == 0) return;
    }
    const int error = errno;
    struct stat info {};
    if (::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return;
    // It was there, and another process has removed it since.
    if (error == EEXIST && ::lstat(path.c_str(), &info) != 0 && errno == ENOENT) continue;
    throw SystemError(error, "creating directory " + path.string());
  }
}

void syncDir(const Path& path) {
  const UniqueFd fd = openFile(path.empty() ? "." : path.string(), O_RDONLY | O_DIRECTORY);
  if (::fsync(fd.get()) != 0) throwErrno("syncing directory " + path.string());
}

bool renameNoReplace(const Path& from, const Path& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return true;
  if (errno == EEXIST || errno == ENOTEMPTY) return false;
  throwErrno("renaming " + from.string() + " to " + to.string());
}

void removeTree(const Path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) {
    if (errno == ENOENT) return;
    if (errno != ENOTDIR && errno != ELOOP) throwErrno("opening " + path.string());
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) throwErrno("removing " + path.string());
    return;
  }
  UniqueFd owned(fd);
  struct stat info {};
  if (::fstat(fd, &info) != 0) throwErrno("looking at " + path.string());
  removeContents(std::move(owned), info.st_dev, path.string());
  if (::rmdir(path.c_str()) != 0 && errno != ENOENT) {
    throwErrno("removing directory " + path.string());
  }
}

std::vector<std::string> listDir(const Path& path) {
  std::vector<std::string> names;
  UniqueFd fd = tryOpen(path.string(), O_RDONLY | O_DIRECTORY);
  if (!fd) return names;
  const UniqueDir dir = openDir(std::move(fd), path.string());
  errno = 0;
  while (const dirent* entry = ::readdir(dir.get())) {
    if (!isDots(entry->d_name)) names.emplace_back(entry->d_name);
  }
  if (errno != 0) throwErrno("reading directory " + path.string());
  std::sort(names.begin(), names.end());
  return names;
}

bool exists(const Path& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) == 0) return true;
  if (errno == ENOENT || errno == ENOTDIR) return false;
  throwErrno("looking at " + path.string());
}

TempDir::TempDir(const Path& parent, std::string_view prefix) {
  std::string name = (parent / (std::string(prefix) + "XXXXXX")).string();
  if (::mkdtemp(name.data()) == nullptr) {
    throwErrno("creating a temporary directory in " + parent.string());
  }
  path_ = name;
}

TempDir::TempDir(TempDir&& other) noexcept : path_(std::exchange(other.path_, Path())) {}

TempDir::~TempDir() {
  if (path_.empty()) return;
  try {
    removeTree(path_);
  } catch (const Error&) {
    // A destructor has nobody to tell; what stays lies in a scratch place that is emptied.
  }
}

Path TempDir::release() {
  return std::exchange(path_, Path());
}

Path tempRoot() {
  const char* dir = std::getenv("TMPDIR");
  return dir != nullptr && *dir != '\0' ? Path(dir) : Path("/tmp");
}

}  // namespace actool
