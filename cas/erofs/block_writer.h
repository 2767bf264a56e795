// Writes one part of a file from its start to its end, through a buffer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace actool::cas::erofs {

class BlockWriter {
 public:
  BlockWriter(int fd, std::uint64_t from) : fd_(fd), at_(from) {}

  std::uint64_t at() const { return at_ + buffer_.size(); }
  void put(std::span<const std::byte> bytes);
  template <typename T>
  void putStruct(const T& value) {
    put(std::as_bytes(std::span(&value, 1)));
  }
  // Zeros up to `offset` of the file, which is not behind at().
  void fillTo(std::uint64_t offset);
  // `count` bytes of `from` at `offset`. TrustError when they are not there.
  void copy(int from, std::uint64_t offset, std::uint64_t count);
  void flush();

 private:
  int fd_;
  std::uint64_t at_;  // of the buffer's first byte
  std::vector<std::byte> buffer_;
};

}  // namespace actool::cas::erofs
