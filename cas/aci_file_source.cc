#include "cas/aci_file_source.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/base/error.h"

namespace actool::cas {

namespace {
constexpr std::size_t kSequential = 256 << 10;
// After a skip a header is wanted, with pax records at most: two pages.
constexpr std::size_t kAfterSkip = 8 << 10;
}  // namespace

FileTarSource::FileTarSource(int fd, std::string what)
    : fd_(fd), what_(std::move(what)), buffer_(kSequential) {
  struct stat info {};
  if (fstat(fd_, &info) != 0) throwErrno("looking at " + what_);
  if (!S_ISREG(info.st_mode)) throw Error(what_ + " is no regular file");
  size_ = static_cast<std::uint64_t>(info.st_size);
}

std::span<const std::byte> FileTarSource::next() {
  const std::size_t want = skipped_ ? kAfterSkip : kSequential;
  skipped_ = false;
  while (true) {
    const ssize_t got = pread(fd_, buffer_.data(), want, static_cast<off_t>(at_));
    if (got >= 0) {
      at_ += static_cast<std::uint64_t>(got);
      return std::span(buffer_).first(static_cast<std::size_t>(got));
    }
    if (errno != EINTR) throwErrno("reading " + what_);
  }
}

bool FileTarSource::skip(std::uint64_t count) {
  if (count > size_ - std::min(at_, size_)) throw TrustError(what_ + " is truncated");
  at_ += count;
  skipped_ = true;
  return true;
}

}  // namespace actool::cas
