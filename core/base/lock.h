// Advisory locks by flock(2) on a file or directory: they go with the process, are
// inherited across exec when asked, and need no clean-up after a crash.
#pragma once

#include <chrono>
#include <optional>

#include "core/base/fd.h"
#include "core/base/fs.h"

namespace actool {

enum class LockMode { shared, exclusive };

class FileLock {
 public:
  // Waits for the lock as long as it takes. The file is created when it is missing; a
  // directory is locked itself.
  static FileLock acquire(const Path& path, LockMode mode);
  // Nothing when another open file holds a conflicting lock.
  static std::optional<FileLock> tryAcquire(const Path& path, LockMode mode);
  // Throws InUseError after `timeout`. `what` names what is waited for in that message.
  static FileLock acquireFor(const Path& path, LockMode mode, std::chrono::milliseconds timeout,
                             std::string_view what);

  int fd() const noexcept { return fd_.get(); }
  // Gives up the owner's role; the lock lives as long as the descriptor is open anywhere.
  UniqueFd release() && { return std::move(fd_); }

 private:
  explicit FileLock(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace actool
