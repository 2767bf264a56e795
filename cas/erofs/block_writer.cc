#include "cas/erofs/block_writer.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/base/error.h"

namespace actool::cas::erofs {

namespace {
constexpr std::size_t kBuffer = 256 << 10;
}

void BlockWriter::put(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const std::size_t step = std::min(bytes.size(), kBuffer - buffer_.size());
    const auto piece = bytes.first(step);
    buffer_.insert(buffer_.end(), piece.begin(), piece.end());
    bytes = bytes.subspan(step);
    if (buffer_.size() == kBuffer) flush();
  }
}

void BlockWriter::fillTo(std::uint64_t offset) {
  while (at() < offset) {
    const auto step = std::min<std::uint64_t>(offset - at(), kBuffer - buffer_.size());
    buffer_.resize(buffer_.size() + static_cast<std::size_t>(step));
    if (buffer_.size() == kBuffer) flush();
  }
}

void BlockWriter::copy(int from, std::uint64_t offset, std::uint64_t count) {
  while (count > 0) {
    const std::size_t had = buffer_.size();
    const auto step = static_cast<std::size_t>(std::min<std::uint64_t>(count, kBuffer - had));
    buffer_.resize(had + step);
    const ssize_t got = pread(from, buffer_.data() + had, step, static_cast<off_t>(offset));
    buffer_.resize(had + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throwErrno("reading the tar");
    if (got == 0) throw TrustError("the tar is truncated");
    offset += static_cast<std::uint64_t>(got);
    count -= static_cast<std::uint64_t>(got);
    if (buffer_.size() == kBuffer) flush();
  }
}

void BlockWriter::flush() {
  for (std::size_t done = 0; done < buffer_.size();) {
    const ssize_t put =
        pwrite(fd_, buffer_.data() + done, buffer_.size() - done, static_cast<off_t>(at_ + done));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) throwErrno("writing the EROFS image");
    done += static_cast<std::size_t>(put);
  }
  at_ += buffer_.size();
  buffer_.clear();
}

}  // namespace actool::cas::erofs
