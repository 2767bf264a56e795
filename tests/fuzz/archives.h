// What the fuzz targets that read archives share.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "cas/aci_source.h"
#include "core/base/fd.h"

namespace actool::fuzz {

// libFuzzer's input as bytes that may be changed.
inline std::vector<std::byte> bytesOf(const std::uint8_t* data, std::size_t size) {
  const auto input = std::as_bytes(std::span(data, size));
  return {input.begin(), input.end()};
}

// `bytes`, which are not owned, handed out `step` at a time.
class Bytes : public cas::AciSource {
 public:
  Bytes(std::span<const std::byte> bytes, std::size_t step) : bytes_(bytes), step_(step) {}
  std::span<const std::byte> next() override {
    const auto piece = bytes_.first(std::min(step_, bytes_.size()));
    bytes_ = bytes_.subspan(piece.size());
    return piece;
  }

 private:
  std::span<const std::byte> bytes_;
  std::size_t step_;
};

// A file in memory that holds `bytes`.
inline UniqueFd fileOf(std::span<const std::byte> bytes) {
  UniqueFd fd(memfd_create("fuzz", MFD_CLOEXEC));
  if (!fd) std::abort();
  writeAll(fd.get(), bytes, "memory");
  return fd;
}

// Gives every header of a tar in `bytes` the checksum it should have, so that mutations get past
// it.
inline void fixTarChecksums(std::span<std::byte> bytes) {
  constexpr std::size_t kBlock = 512;
  constexpr std::size_t kSum = 148;  // of eight bytes: six octal digits, NUL, space
  constexpr std::size_t kMagic = 257;
  for (std::size_t at = 0; at + kBlock <= bytes.size(); at += kBlock) {
    const auto block = bytes.subspan(at, kBlock);
    if (std::to_integer<char>(block[kMagic]) != 'u') continue;
    unsigned sum = 8 * ' ';
    for (std::size_t i = 0; i < kBlock; ++i) {
      if (i < kSum || i >= kSum + 8) sum += std::to_integer<unsigned>(block[i]);
    }
    for (std::size_t i = 0; i < 6; ++i) {
      block[kSum + 5 - i] = static_cast<std::byte>('0' + (sum & 7));
      sum >>= 3;
    }
    block[kSum + 6] = std::byte{0};
    block[kSum + 7] = std::byte{' '};
  }
}

}  // namespace actool::fuzz
