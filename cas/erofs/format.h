// The part of EROFS's on-disk format that is written and taken here: uncompressed, 512-byte
// blocks, extended inodes, attributes inline, file data in extra devices. The format is the
// kernel's, as Documentation/filesystems/erofs.rst describes it. All numbers are
// little-endian.
//
// The image, block after block:
//   1024 bytes of nothing, the superblock, one slot for each extra device, then inodes at
//   multiples of 32 bytes (their number is the offset divided by 32), then blocks of data.
// An inode is followed by its attributes, then by its map of chunks or the end of its data.
// Block numbers count on from the image's own into the extra devices, each of which says at
// which number it starts: a file's data is found without naming a device.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

namespace actool::cas::erofs {

// A number as it lies in the image, of any alignment.
template <typename T>
class Little {
  static_assert(std::is_unsigned_v<T>);

 public:
  Little() = default;
  Little(T value) {  // NOLINT(google-explicit-constructor): it is the number
    for (auto& byte : bytes_) {
      byte = static_cast<std::uint8_t>(value & 0xff);
      value = static_cast<T>(static_cast<std::uint64_t>(value) >> 8);
    }
  }
  operator T() const {  // NOLINT(google-explicit-constructor)
    std::uint64_t value = 0;
    for (std::size_t i = bytes_.size(); i-- > 0;)
      value = (value << 8) | bytes_[i];
    return static_cast<T>(value);
  }

 private:
  std::array<std::uint8_t, sizeof(T)> bytes_{};
};
using U16 = Little<std::uint16_t>;
using U32 = Little<std::uint32_t>;
using U64 = Little<std::uint64_t>;

inline constexpr unsigned kBlockBits = 9;  // what a tar is aligned to
inline constexpr std::uint64_t kBlock = std::uint64_t{1} << kBlockBits;
inline constexpr std::uint64_t kSuperOffset = 1024;
inline constexpr std::uint64_t kInodeSlot = 32;  // inode numbers count these
inline constexpr std::uint32_t kMagic = 0xe0f5e1e2;
inline constexpr std::uint32_t kNoBlock = 0xffffffff;  // a chunk that is a hole

// Compatible features: the superblock has a checksum; inode times are modification times.
inline constexpr std::uint32_t kFeatureChecksum = 0x1;
inline constexpr std::uint32_t kFeatureMtime = 0x2;
// Incompatible ones.
inline constexpr std::uint32_t kFeatureChunks = 0x4;
inline constexpr std::uint32_t kFeatureDevices = 0x8;

struct SuperBlock {
  U32 magic;
  U32 checksum;  // superBlockChecksum()
  U32 compatible;
  std::uint8_t blockBits = 0;
  std::uint8_t extraSlots = 0;  // of 16 bytes, behind these 128
  U16 rootInode;
  U64 inodes;
  U64 epoch;  // of compact inodes, which are not used here
  U32 epochNanoseconds;
  U32 blocks;      // of this image
  U32 metaBlock;   // where inode 0 would be
  U32 xattrBlock;  // of shared attributes, which are not used here
  std::array<std::uint8_t, 16> uuid{};
  std::array<std::uint8_t, 16> volumeName{};
  U32 incompatible;
  U16 compression;
  U16 devices;     // extra ones
  U16 deviceSlot;  // the first one's offset, in slots
  std::uint8_t directoryBlockBits = 0;
  std::uint8_t xattrPrefixes = 0;
  U32 xattrPrefixStart;
  U64 packedInode;
  std::array<std::uint8_t, 24> reserved{};
};
static_assert(sizeof(SuperBlock) == 128 && alignof(SuperBlock) == 1);

struct DeviceSlot {
  std::array<char, 64> tag{};
  U32 blocks;
  U32 firstBlock;  // as block numbers of inodes count it
  std::array<std::uint8_t, 56> reserved{};
};
static_assert(sizeof(DeviceSlot) == 128 && alignof(DeviceSlot) == 1);

// How an inode's data lies.
enum class DataLayout : std::uint16_t {
  flat = 0,     // `block` and what follows it
  inlined = 2,  // the same, but what follows the last whole block is behind the inode
  chunks = 4,   // a block number for each chunk, behind the inode
};
inline constexpr std::uint16_t kExtendedInode = 1;  // Inode::format: this, and the layout << 1
inline constexpr std::uint32_t kMaxChunkBits = 31;  // a chunk has kBlock << these bytes

struct Inode {
  U16 format;
  U16 xattrCount;  // xattrBytes()
  U16 mode;
  U16 reserved;
  U64 size;
  U32 data;  // flat, inlined: the first block; chunks: chunk bits; devices: the number
  U32 number;
  U32 uid;
  U32 gid;
  U64 mtime;  // signed
  U32 mtimeNanoseconds;
  U32 links;
  std::array<std::uint8_t, 16> reserved2{};
};
static_assert(sizeof(Inode) == 64 && alignof(Inode) == 1);

// In front of an inode's attributes.
struct XattrHeader {
  U32 nameFilter;
  std::uint8_t shared = 0;
  std::array<std::uint8_t, 7> reserved{};
};
static_assert(sizeof(XattrHeader) == 12 && alignof(XattrHeader) == 1);

// Each attribute: this, the name without its prefix, the value, and zeros up to a multiple of 4.
struct XattrEntry {
  std::uint8_t nameLength = 0;
  std::uint8_t prefix = 0;
  U16 valueSize;
};
static_assert(sizeof(XattrEntry) == 4 && alignof(XattrEntry) == 1);

inline constexpr std::uint8_t kXattrUser = 1, kXattrAccessAcl = 2, kXattrDefaultAcl = 3,
                              kXattrTrusted = 4, kXattrSecurity = 6;

// What Inode::xattrCount stands for, header included.
constexpr std::uint64_t xattrBytes(std::uint16_t count) {
  return count == 0 ? 0 : sizeof(XattrHeader) + 4 * (std::uint64_t{count} - 1);
}

// A block of a directory starts with these, ordered by name; the names follow. The first one's
// nameOffset says how many there are.
struct Dirent {
  U64 inode;
  U16 nameOffset;  // from the start of the block
  std::uint8_t type = 0;
  std::uint8_t reserved = 0;
};
static_assert(sizeof(Dirent) == 12 && alignof(Dirent) == 1);

// Dirent::type of a st_mode; 0 for what is no kind of file.
std::uint8_t direntType(std::uint32_t mode);

// A device number as inodes have it: majors have 12 bits and minors 20, and TarReader takes no
// larger ones.
constexpr std::uint32_t deviceNumber(std::uint32_t major, std::uint32_t minor) {
  return (minor & 0xffU) | (major << 8) | ((minor & ~0xffU) << 12);
}

constexpr std::uint64_t roundUp(std::uint64_t value, std::uint64_t unit) {
  return (value + unit - 1) / unit * unit;
}

// CRC-32C of the block that the superblock begins, its checksum taken for 0; not inverted at
// the end. `block` has kBlock bytes.
std::uint32_t superBlockChecksum(std::span<const std::byte> block);

}  // namespace actool::cas::erofs
