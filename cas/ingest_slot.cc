#include "cas/ingest_slot.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "cas/pipeline.h"
#include "core/base/error.h"
#include "core/base/strings.h"
#include "core/base/uuid.h"

namespace actool::cas {

namespace {

// flock(2) can't wait for a descriptor as well, so waiting is by looking again.
constexpr int kPollMilliseconds = 100;
constexpr std::size_t kMostPrefixBytes = 64;

// To remove what somebody else touches at the same time.
constexpr int kAttempts = 10;

constexpr std::string_view kUnique = "unsigned-";
constexpr std::string_view kRemoved = "removed-";

std::uint64_t sizeOf(const Path& file) {
  struct stat info {};
  if (::stat(file.c_str(), &info) != 0) {
    if (errno == ENOENT) return 0;
    throwErrno("looking at " + file.string());
  }
  return static_cast<std::uint64_t>(info.st_size);
}

// What a file with holes has.
std::uint64_t allocatedOf(const Path& file) {
  struct stat info {};
  if (::stat(file.c_str(), &info) != 0) {
    if (errno == ENOENT) return 0;
    throwErrno("looking at " + file.string());
  }
  constexpr std::uint64_t kStatBlock = 512;  // stat(2), whatever the file system's blocks are
  return std::min(static_cast<std::uint64_t>(info.st_blocks) * kStatBlock,
                  static_cast<std::uint64_t>(info.st_size));
}

// The holder removes the directory when it is done; then we may have locked a file that has no
// name any more.
bool isStillThere(const FileLock& lock, const Path& file) {
  struct stat ours {};
  struct stat named {};
  if (::fstat(lock.fd(), &ours) != 0) throwErrno("looking at a lock");
  if (::stat(file.c_str(), &named) != 0) {
    if (errno == ENOENT) return false;
    throwErrno("looking at " + file.string());
  }
  return ours.st_dev == named.st_dev && ours.st_ino == named.st_ino;
}

}  // namespace

std::string slotKeyOf(const Digest& signatureSha256) {
  return signatureSha256.hex();
}

std::string uniqueSlotKey() {
  return std::string(kUnique) + Uuid::random().str();
}

bool isDisposableSlot(std::string_view name) {
  return name.starts_with(kUnique) || name.starts_with(kRemoved);
}

std::optional<FileLock> tryLockSlot(const Path& dir) {
  const Path file = dir / "lock";
  try {
    auto lock = FileLock::tryAcquire(file, LockMode::exclusive);
    if (lock && isStillThere(*lock, file)) return lock;
  } catch (const SystemError& error) {
    if (error.errnum() != ENOENT) throw;
  }
  return std::nullopt;
}

IngestSlot IngestSlot::acquire(const StoreLayout& layout, const std::string& key, int interruptFd,
                               const std::function<void(std::uint64_t)>& waiting) {
  const Path dir = layout.ingestDir() / key;
  std::uint64_t most = 0;  // the file is gone once it is whole, before the lock is
  for (;;) {
    makeDirs(dir);
    if (auto lock = tryLockSlot(dir)) return IngestSlot(dir, std::move(*lock));
    most = std::max({most, sizeOf(dir / "data"), allocatedOf(dir / "pieces")});
    waiting(most);
    pollfd interrupt{interruptFd, POLLIN, 0};
    const int ready = ::poll(&interrupt, 1, kPollMilliseconds);
    if (ready < 0 && errno != EINTR) throwErrno("waiting for another ingest");
    if (ready > 0) throw Interrupted();
  }
}

std::uint64_t IngestSlot::dataSize() const {
  return sizeOf(data());
}

void IngestSlot::beginStaged() const {
  if (!actool::exists(data())) return;
  std::filesystem::rename(data(), staged());
}

void IngestSlot::endStaged() const {
  if (!actool::exists(staged())) return;
  const auto text = tryReadFile(prefix(), kMostPrefixBytes);
  const std::uint64_t known = text ? parseUint(trim(*text)).value_or(0) : 0;
  const std::uint64_t there = std::min(known, sizeOf(staged()));
  if (::truncate(staged().c_str(), static_cast<off_t>(there)) != 0) {
    throwErrno("cutting " + staged().string());
  }
  std::filesystem::rename(staged(), data());
  removeTree(prefix());
}

void IngestSlot::notePrefix(std::uint64_t bytes) const {
  // Whoever reads a cut one starts from less.
  writeFilePlain(prefix(), fmt::to_string(bytes));
}

void IngestSlot::dropTar() const {
  removeTree(tar());
}

void IngestSlot::remove() const {
  removeSlot(dir_);
}

// Out of the way first: who waits for it makes a lock of the same name as soon as ours has none,
// and would go on among what is being removed.
void removeSlot(const Path& dir) {
  const Path gone = dir.parent_path() / (std::string(kRemoved) + Uuid::random().str());
  if (::rename(dir.c_str(), gone.c_str()) != 0) {
    if (errno == ENOENT) return;
    throwErrno("removing " + dir.string());
  }
  // A collection that comes by may put a lock into it just now; it finds nothing then.
  for (int attempt = 1;; ++attempt) {
    try {
      removeTree(gone);
      return;
    } catch (const SystemError& error) {
      if (error.errnum() != ENOTEMPTY || attempt == kAttempts) throw;
    }
  }
}

}  // namespace actool::cas
