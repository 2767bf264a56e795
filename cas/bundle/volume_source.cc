#include "cas/bundle/volume_source.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/base/error.h"
#include "core/base/fd.h"

namespace actool::cas {

namespace {
constexpr std::size_t kPieceBufferBytes = 256 << 10;
}

VolumeSource::VolumeSource(int fd) : fd_(fd), buffer_(kPieceBufferBytes) {
  struct stat info {};
  if (::fstat(fd_, &info) != 0) throwErrno("looking at a volume");
  const off_t at = S_ISREG(info.st_mode) ? ::lseek(fd_, 0, SEEK_CUR) : -1;
  if (at >= 0) left_ = static_cast<std::uint64_t>(std::max<off_t>(info.st_size - at, 0));
}

std::span<const std::byte> VolumeSource::next() {
  try {
    const std::size_t got = readSome(fd_, buffer_, "it");
    if (left_) *left_ -= std::min<std::uint64_t>(*left_, got);
    return std::span(buffer_).first(got);
  } catch (const SystemError& error) {
    throw TrustError(error.what(), "import a good copy of the volume");
  }
}

bool VolumeSource::skip(std::uint64_t count) {
  if (!left_) return false;
  if (count > *left_) throw TrustError("the archive is truncated");
  if (::lseek(fd_, static_cast<off_t>(count), SEEK_CUR) < 0) throwErrno("seeking in a volume");
  *left_ -= count;
  return true;
}

}  // namespace actool::cas
