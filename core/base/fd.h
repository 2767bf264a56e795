// Owners and helpers for file descriptors. Every descriptor is opened close-on-exec.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace actool {

// Owns one file descriptor, or none (-1). Movable, not copyable.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) noexcept : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) reset(other.release());
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() { reset(); }

  int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }
  int release() noexcept { return std::exchange(fd_, -1); }
  void reset(int fd = -1) noexcept;

 private:
  int fd_ = -1;
};

struct Pipe {
  UniqueFd read;
  UniqueFd write;
};

// A pipe, both ends close-on-exec.
Pipe makePipe();

// open(2) with O_CLOEXEC added. Throws SystemError; ENOENT too (see tryOpen).
UniqueFd openFile(const std::string& path, int flags, mode_t mode = 0666);
UniqueFd openFileAt(int dirFd, const std::string& path, int flags, mode_t mode = 0666);

// As openFile, but no descriptor instead of an exception when the path does not exist.
UniqueFd tryOpen(const std::string& path, int flags, mode_t mode = 0666);
UniqueFd tryOpenAt(int dirFd, const std::string& path, int flags, mode_t mode = 0666);

// read(2) until `buffer` is full or end of file; returns the bytes read. Retries EINTR.
// `what` names the source in errors.
std::size_t readFull(int fd, std::span<std::byte> buffer, std::string_view what);

// One read(2), EINTR retried; 0 at end of file.
std::size_t readSome(int fd, std::span<std::byte> buffer, std::string_view what);

// Everything up to end of file; throws Error once more than `limit` bytes have come.
std::string readAll(int fd, std::size_t limit, std::string_view what);

// Writes all of `bytes`; EINTR and short writes retried.
void writeAll(int fd, std::span<const std::byte> bytes, std::string_view what);
void writeAll(int fd, std::string_view text, std::string_view what);

// Calls `line` for each line of `fd` (without '\n'; the last may lack one). Throws Error on
// a line longer than `limit` bytes.
void forEachLine(int fd, std::size_t limit, std::string_view what,
                 const std::function<void(std::string_view)>& line);

}  // namespace actool
