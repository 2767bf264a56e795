#include "cas/erofs/format.h"

#include <sys/stat.h>

namespace actool::cas::erofs {

std::uint8_t direntType(std::uint32_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return 1;
    case S_IFDIR:
      return 2;
    case S_IFCHR:
      return 3;
    case S_IFBLK:
      return 4;
    case S_IFIFO:
      return 5;
    case S_IFSOCK:
      return 6;
    case S_IFLNK:
      return 7;
    default:
      return 0;
  }
}

std::uint32_t superBlockChecksum(std::span<const std::byte> block) {
  constexpr std::uint32_t kPolynomial = 0x82f63b78;  // Castagnoli's, reflected
  constexpr std::size_t kFrom = offsetof(SuperBlock, checksum);
  constexpr std::size_t kTo = kFrom + sizeof(U32);
  std::uint32_t crc = ~std::uint32_t{0};
  for (std::size_t i = 0; i < block.size(); ++i) {
    if (i < kFrom || i >= kTo) crc ^= std::to_integer<std::uint32_t>(block[i]);
    for (int bit = 0; bit < 8; ++bit)
      crc = (crc >> 1) ^ ((crc & 1U) != 0 ? kPolynomial : 0U);
  }
  return crc;
}

}  // namespace actool::cas::erofs
