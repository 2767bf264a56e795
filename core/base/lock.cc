#include "core/base/lock.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <thread>

#include "core/base/error.h"

namespace actool {
namespace {

UniqueFd openForLock(const Path& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0644);
  if (fd >= 0) return UniqueFd(fd);
  if (errno == EISDIR) return openFile(path.string(), O_RDONLY | O_DIRECTORY);
  // flock(2) asks no right to write: a reader locks what it can only read.
  const int error = errno;
  if (error == EACCES || error == EROFS) {
    if (UniqueFd existing = tryOpen(path.string(), O_RDONLY)) return existing;
  }
  throw SystemError(error, "opening " + path.string());
}

bool lockNow(int fd, LockMode mode, bool wait, const Path& path) {
  const int operation = (mode == LockMode::shared ? LOCK_SH : LOCK_EX) | (wait ? 0 : LOCK_NB);
  for (;;) {
    if (::flock(fd, operation) == 0) return true;
    if (errno == EINTR) continue;
    if (errno == EWOULDBLOCK && !wait) return false;
    throwErrno("locking " + path.string());
  }
}

}  // namespace

FileLock FileLock::acquire(const Path& path, LockMode mode) {
  UniqueFd fd = openForLock(path);
  lockNow(fd.get(), mode, true, path);
  return FileLock(std::move(fd));
}

std::optional<FileLock> FileLock::tryAcquire(const Path& path, LockMode mode) {
  UniqueFd fd = openForLock(path);
  if (!lockNow(fd.get(), mode, false, path)) return std::nullopt;
  return FileLock(std::move(fd));
}

FileLock FileLock::acquireFor(const Path& path, LockMode mode, std::chrono::milliseconds timeout,
                              std::string_view what) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  UniqueFd fd = openForLock(path);
  while (!lockNow(fd.get(), mode, false, path)) {
    if (std::chrono::steady_clock::now() >= deadline) {
      throw InUseError(std::string(what) + " is locked by another process",
                       "wait for it to end and try again");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return FileLock(std::move(fd));
}

}  // namespace actool
