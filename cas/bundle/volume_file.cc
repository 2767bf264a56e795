#include "cas/bundle/volume_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "core/base/error.h"

namespace actool::cas {

namespace {

// Who had it until now may have given it its final name before we got the lock.
bool hasName(int fd, const Path& path) {
  struct stat ours {};
  struct stat named {};
  if (::fstat(fd, &ours) != 0) throwErrno("looking at " + path.string());
  if (::stat(path.c_str(), &named) != 0) {
    if (errno == ENOENT) return false;
    throwErrno("looking at " + path.string());
  }
  return ours.st_dev == named.st_dev && ours.st_ino == named.st_ino;
}

UniqueFd openLocked(const Path& part, const Path& path) {
  for (;;) {
    UniqueFd fd = openFile(part.string(), O_WRONLY | O_CREAT | O_NOFOLLOW);
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK) {
        throw InUseError("another process writes " + path.string(), "wait for it to end");
      }
      throwErrno("locking " + part.string());
    }
    if (hasName(fd.get(), part)) return fd;
  }
}

}  // namespace

VolumeFile::VolumeFile(Path path)
    : path_(std::move(path)),
      part_(path_.parent_path() / ("." + path_.filename().string() + ".part")),
      fd_(openLocked(part_, path_)) {
  if (::ftruncate(fd_.get(), 0) != 0) throwErrno("emptying " + part_.string());
}

VolumeFile::~VolumeFile() {
  if (!part_.empty()) ::unlink(part_.c_str());
}

void VolumeFile::write(std::span<const std::byte> bytes) {
  writeAll(fd_.get(), bytes, path_.string());
}

void VolumeFile::commit() {
  if (::fsync(fd_.get()) != 0) throwErrno("writing " + path_.string());
  if (::rename(part_.c_str(), path_.c_str()) != 0) throwErrno("making " + path_.string());
  part_.clear();
  fd_.reset();
  syncDir(path_.has_parent_path() ? path_.parent_path() : Path("."));
}

}  // namespace actool::cas
