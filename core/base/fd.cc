#include "core/base/fd.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "core/base/error.h"

namespace actool {
namespace {

UniqueFd openOrNone(int dirFd, const std::string& path, int flags, mode_t mode,
                    bool noneIfMissing) {
  for (;;) {
    const int fd = ::openat(dirFd, path.c_str(), flags | O_CLOEXEC, mode);
    if (fd >= 0) return UniqueFd(fd);
    if (errno == EINTR) continue;
    if (noneIfMissing && (errno == ENOENT || errno == ENOTDIR)) return {};
    throwErrno("opening " + path);
  }
}

}  // namespace

void UniqueFd::reset(int fd) noexcept {
  // close(2) may not be retried on Linux: the descriptor is gone even on EINTR.
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

Pipe makePipe() {
  std::array<int, 2> fds{};
  if (::pipe2(fds.data(), O_CLOEXEC) != 0) throwErrno("making a pipe");
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

UniqueFd openFile(const std::string& path, int flags, mode_t mode) {
  return openOrNone(AT_FDCWD, path, flags, mode, false);
}

UniqueFd openFileAt(int dirFd, const std::string& path, int flags, mode_t mode) {
  return openOrNone(dirFd, path, flags, mode, false);
}

UniqueFd tryOpen(const std::string& path, int flags, mode_t mode) {
  return openOrNone(AT_FDCWD, path, flags, mode, true);
}

UniqueFd tryOpenAt(int dirFd, const std::string& path, int flags, mode_t mode) {
  return openOrNone(dirFd, path, flags, mode, true);
}

std::size_t readSome(int fd, std::span<std::byte> buffer, std::string_view what) {
  for (;;) {
    const ssize_t count = ::read(fd, buffer.data(), buffer.size());
    if (count >= 0) return static_cast<std::size_t>(count);
    if (errno != EINTR) throwErrno("reading " + std::string(what));
  }
}

std::size_t readFull(int fd, std::span<std::byte> buffer, std::string_view what) {
  std::size_t done = 0;
  while (done < buffer.size()) {
    const std::size_t count = readSome(fd, buffer.subspan(done), what);
    if (count == 0) break;
    done += count;
  }
  return done;
}

std::string readAll(int fd, std::size_t limit, std::string_view what) {
  std::string text;
  // Not cleared: most files are short, and touching all of it costs more than reading them.
  std::array<std::byte, 64 << 10> chunk;
  while (const std::size_t count = readSome(fd, chunk, what)) {
    if (count > limit - text.size()) {
      throw Error(std::string(what) + " is larger than the limit of " + std::to_string(limit) +
                  " bytes");
    }
    text.append(reinterpret_cast<const char*>(chunk.data()), count);
  }
  return text;
}

void writeAll(int fd, std::span<const std::byte> bytes, std::string_view what) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0) {
      if (errno == EINTR) continue;
      throwErrno("writing " + std::string(what));
    }
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
}

void writeAll(int fd, std::string_view text, std::string_view what) {
  writeAll(fd, std::as_bytes(std::span(text)), what);
}

void forEachLine(int fd, std::size_t limit, std::string_view what,
                 const std::function<void(std::string_view)>& line) {
  std::string pending;
  std::array<std::byte, 16 << 10> chunk{};
  const auto tooLong = [&] {
    throw Error(std::string(what) + " has a line longer than the limit of " +
                std::to_string(limit) + " bytes");
  };
  while (const std::size_t count = readSome(fd, chunk, what)) {
    std::string_view rest(reinterpret_cast<const char*>(chunk.data()), count);
    for (std::size_t end = rest.find('\n'); end != std::string_view::npos; end = rest.find('\n')) {
      pending.append(rest.substr(0, end));
      if (pending.size() > limit) tooLong();
      line(pending);
      pending.clear();
      rest.remove_prefix(end + 1);
    }
    pending.append(rest);
    if (pending.size() > limit) tooLong();
  }
  if (!pending.empty()) line(pending);
}

}  // namespace actool
