#include "cas/erofs/check.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <limits>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "cas/aci_acl.h"
#include "cas/aci_path.h"
#include "cas/aci_xattr.h"
#include "cas/erofs/format.h"
#include "core/base/error.h"

namespace actool::cas {

namespace {

using namespace erofs;  // NOLINT(google-build-using-namespace): the format's names, here only

using Bytes = std::span<const std::byte>;

constexpr std::uint64_t kMaxName = 255;
constexpr std::uint64_t kMaxTarget = 4095;
constexpr std::uint32_t kNoId = 0xffffffff;

[[noreturn]] void refuse(const std::string& why) {
  throw TrustError("bad EROFS metadata: " + why);
}

template <typename Range>
bool allZero(const Range& range) {
  return std::all_of(range.begin(), range.end(),
                     [](auto byte) { return byte == decltype(byte){}; });
}

std::string_view text(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::uint64_t blocksOf(std::uint64_t bytes) {
  return bytes / kBlock + (bytes % kBlock == 0 ? 0 : 1);
}

struct Device {
  std::uint64_t first;
  std::uint64_t end;
};

// An inode that has passed, and where its parts lie.
struct Checked {
  std::uint64_t number = 0;
  Inode inode;
  DataLayout layout = DataLayout::flat;
  std::uint32_t kind = 0;    // S_IFMT's
  std::uint64_t behind = 0;  // offset of what follows the attributes
  std::string where() const { return "inode " + std::to_string(number); }
};

class Checker {
 public:
  Checker(Bytes image, std::span<const std::uint64_t> sizes) : image_(image), sizes_(sizes) {}

  void run() {
    readSuperBlock();
    readDevices();
    walk();
  }

 private:
  struct Links {
    std::uint32_t stated = 0;
    std::uint32_t found = 0;
    std::uint8_t type = 0;
  };
  struct Directory {
    std::uint64_t number;
    std::uint64_t parent;
  };

  template <typename T>
  T at(std::uint64_t offset) const {
    T value;
    const Bytes bytes = range(offset, sizeof(T));
    std::memcpy(static_cast<void*>(&value), bytes.data(), sizeof(T));
    return value;
  }

  Bytes range(std::uint64_t offset, std::uint64_t count) const {
    if (offset > image_.size() || count > image_.size() - offset) {
      refuse("byte " + std::to_string(offset) + " and the " + std::to_string(count) +
             " from there are not all in the image");
    }
    return image_.subspan(static_cast<std::size_t>(offset), static_cast<std::size_t>(count));
  }

  // Bytes that nothing else has. Counted in slots, which everything starts at.
  void claim(std::uint64_t offset, std::uint64_t count, const std::string& where) {
    range(offset, count);
    for (std::uint64_t slot = offset / kInodeSlot; slot * kInodeSlot < offset + count; ++slot) {
      auto taken = claimed_[static_cast<std::size_t>(slot)];
      if (taken) refuse(where + " shares bytes of the image with something else");
      claimed_[static_cast<std::size_t>(slot)] = true;
    }
  }

  void readSuperBlock() {
    if (image_.size() < kSuperOffset + kBlock || image_.size() % kBlock != 0) {
      refuse("a size of " + std::to_string(image_.size()) + " bytes");
    }
    if (image_.size() / kBlock >= kNoBlock) refuse("an image of more than 2 TiB");
    super_ = at<SuperBlock>(kSuperOffset);
    const auto require = [](bool good, const char* field) {
      if (!good) refuse(std::string("the superblock's ") + field);
    };
    require(super_.magic == kMagic, "magic number");
    require(super_.checksum == superBlockChecksum(range(kSuperOffset, kBlock)), "checksum");
    require(super_.compatible == (kFeatureChecksum | kFeatureMtime), "compatible features");
    const std::uint32_t devices = sizes_.empty() ? 0 : kFeatureDevices;
    require(super_.incompatible == (kFeatureChunks | devices), "incompatible features");
    require(super_.blockBits == kBlockBits, "block size");
    require(super_.extraSlots == 0, "size");
    require(super_.epoch == 0 && super_.epochNanoseconds == 0, "epoch");
    require(super_.blocks == image_.size() / kBlock, "number of blocks");
    require(super_.metaBlock == 0 && super_.xattrBlock == 0, "areas");
    require(allZero(super_.volumeName), "name");
    require(super_.compression == 0, "compression");
    require(super_.devices == sizes_.size(), "number of devices");
    constexpr std::uint64_t kSlot = (kSuperOffset + sizeof(SuperBlock)) / sizeof(DeviceSlot);
    require(super_.deviceSlot == (sizes_.empty() ? 0 : kSlot), "device table");
    require(super_.directoryBlockBits == 0, "directory block size");
    require(super_.xattrPrefixes == 0 && super_.xattrPrefixStart == 0, "attribute prefixes");
    require(super_.packedInode == 0 && allZero(super_.reserved), "reserved bytes");
    claimed_.resize(static_cast<std::size_t>(image_.size() / kInodeSlot));
    claim(0, kSuperOffset + sizeof(SuperBlock), "the superblock");
  }

  void readDevices() {
    std::uint64_t next = super_.blocks;
    std::uint64_t offset = kSuperOffset + sizeof(SuperBlock);
    for (std::size_t i = 0; i < sizes_.size(); ++i, offset += sizeof(DeviceSlot)) {
      const std::string where = "device " + std::to_string(i);
      claim(offset, sizeof(DeviceSlot), where);
      const auto slot = at<DeviceSlot>(offset);
      const std::uint64_t blocks = blocksOf(sizes_[i]);
      if (slot.tag[0] == '\0' || !allZero(slot.reserved)) refuse("the slot of " + where);
      if (slot.blocks != blocks || slot.firstBlock != next) refuse("the blocks of " + where);
      devices_.push_back({next, next + blocks});
      next += blocks;
      if (next >= kNoBlock) refuse("devices of more than 2 TiB");
    }
  }

  void walk() {
    const std::uint64_t root = super_.rootInode;
    if (!S_ISDIR(visit(root).kind)) refuse("the root is no directory");
    queue_.push_back({root, root});
    while (!queue_.empty()) {
      const Directory directory = queue_.front();
      queue_.pop_front();
      readDirectory(directory);
    }
    for (const auto& [number, links] : links_) {
      if (links.stated != links.found) {
        refuse("inode " + std::to_string(number) + " has " + std::to_string(links.found) +
               " names, not " + std::to_string(links.stated));
      }
    }
    if (super_.inodes != inodes_) refuse("the superblock's number of inodes");
  }

  Checked load(std::uint64_t number) const {
    Checked node;
    node.number = number;
    const std::uint64_t slots = image_.size() / kInodeSlot;
    if (number == 0 || number >= slots) refuse(node.where() + " is not in the image");
    node.inode = at<Inode>(number * kInodeSlot);
    node.layout = static_cast<DataLayout>(node.inode.format >> 1);
    node.kind = node.inode.mode & S_IFMT;
    node.behind = number * kInodeSlot + sizeof(Inode) + xattrBytes(node.inode.xattrCount);
    return node;
  }

  // The first time that an inode is met: all that it says of itself.
  Checked visit(std::uint64_t number) {
    Checked node = load(number);
    const Inode& inode = node.inode;
    const auto require = [&](bool good, const char* what) {
      if (!good) refuse(node.where() + ": " + what);
    };
    ++inodes_;
    require((inode.format & 1U) == kExtendedInode && (inode.format >> 4) == 0, "its format");
    require(inode.reserved == 0 && allZero(inode.reserved2), "its reserved bytes");
    require(inode.number == number, "its number");
    require(inode.uid != kNoId && inode.gid != kNoId, "its owner");
    require(inode.mtimeNanoseconds < 1'000'000'000, "its time");
    require(inode.links > 0, "its link count");
    require(inode.size <= std::uint64_t{std::numeric_limits<std::int64_t>::max()}, "its size");
    require(number * kInodeSlot % kBlock + sizeof(Inode) <= kBlock, "it lies in two blocks");
    checkXattrs(node);

    const std::uint64_t base = number * kInodeSlot;
    std::uint64_t behind = 0;
    switch (node.kind) {
      case S_IFREG:
        if (node.layout == DataLayout::chunks) {
          const std::uint64_t count = chunkCount(node);
          require(count <= image_.size() / sizeof(U32), "its map of chunks");
          behind = count * sizeof(U32);
        } else {
          require(node.layout == DataLayout::flat, "its data layout");
          if (inode.size == 0) {
            require(inode.data == 0, "data of an empty file");
          } else {
            checkOutside(node, inode.data, inode.size);
          }
        }
        break;
      case S_IFLNK:
        require(inode.size <= kMaxTarget, "its target is too long");
        [[fallthrough]];
      case S_IFDIR:
        require(inode.size > 0, "it is empty");
        require(node.layout == DataLayout::flat || node.layout == DataLayout::inlined,
                "its data layout");
        if (node.layout == DataLayout::inlined) {
          behind = inode.size % kBlock;
          require(behind > 0, "its data layout");
          require(base / kBlock == (node.behind + behind - 1) / kBlock,
                  "data behind it in another block");
        }
        break;
      case S_IFCHR:
      case S_IFBLK:
      case S_IFIFO:
        require(node.layout == DataLayout::flat && inode.size == 0, "data of a special file");
        require(node.kind != S_IFIFO || inode.data == 0, "data of a FIFO");
        break;
      default:
        refuse(node.where() + ": its kind");
    }
    claim(base, node.behind + behind - base, node.where());
    if (node.layout == DataLayout::chunks) checkChunks(node);
    if (S_ISLNK(node.kind) || S_ISDIR(node.kind)) claimData(node);
    if (S_ISLNK(node.kind)) checkTarget(node);
    return node;
  }

  static std::uint64_t chunkCount(const Checked& node) {
    if (node.inode.size == 0 || node.inode.data > kMaxChunkBits) {
      refuse(node.where() + ": its chunks");
    }
    return (node.inode.size - 1) / (kBlock << node.inode.data) + 1;
  }

  void checkChunks(const Checked& node) {
    const std::uint64_t chunk = kBlock << node.inode.data;
    const std::uint64_t count = chunkCount(node);
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::uint32_t block = at<U32>(node.behind + i * sizeof(U32));
      const std::uint64_t length = std::min(chunk, node.inode.size - i * chunk);
      if (block == kNoBlock) continue;
      if (block < super_.blocks) {
        claimBlocks(block, blocksOf(length), node.where());
      } else {
        checkOutside(node, block, length);
      }
    }
  }

  // `length` bytes of a file from `block` on lie in one extra device.
  void checkOutside(const Checked& node, std::uint64_t block, std::uint64_t length) const {
    const auto above = std::upper_bound(
        devices_.begin(), devices_.end(), block,
        [](std::uint64_t value, const Device& device) { return value < device.first; });
    if (above == devices_.begin()) refuse(node.where() + ": its data is in no device");
    const auto index = static_cast<std::size_t>(above - devices_.begin()) - 1;
    const Device& device = devices_[index];
    const std::uint64_t offset = (block - device.first) * kBlock;
    if (block >= device.end || offset > sizes_[index] || length > sizes_[index] - offset) {
      refuse(node.where() + ": its data ends outside of device " + std::to_string(index));
    }
  }

  void claimBlocks(std::uint64_t block, std::uint64_t count, const std::string& where) {
    if (block >= super_.blocks || count > super_.blocks - block) {
      refuse(where + ": its data ends outside of the image");
    }
    claim(block * kBlock, count * kBlock, where);
  }

  static std::uint64_t wholeBlocks(const Checked& node) {
    return node.layout == DataLayout::inlined ? node.inode.size / kBlock
                                              : blocksOf(node.inode.size);
  }

  // Of a directory or link: in the image.
  void claimData(const Checked& node) {
    const std::uint64_t count = wholeBlocks(node);
    if (count > 0) {
      claimBlocks(node.inode.data, count, node.where());
    } else if (node.inode.data != 0) {
      refuse(node.where() + ": blocks that it does not have");
    }
  }

  // The block `index` of a directory's or link's data, only what is before its end.
  Bytes dataBlock(const Checked& node, std::uint64_t index) const {
    const std::uint64_t length = std::min(kBlock, node.inode.size - index * kBlock);
    if (index >= wholeBlocks(node)) return range(node.behind, length);
    const std::uint64_t offset = (node.inode.data + index) * kBlock;
    if (!allZero(range(offset + length, kBlock - length))) {
      refuse(node.where() + ": something behind the end of its data");
    }
    return range(offset, length);
  }

  void checkTarget(const Checked& node) const {
    for (std::uint64_t i = 0; i < blocksOf(node.inode.size); ++i) {
      if (text(dataBlock(node, i)).find('\0') != std::string_view::npos) {
        refuse(node.where() + ": a NUL in its target");
      }
    }
  }

  void checkXattrs(const Checked& node) const {
    const std::uint64_t total = xattrBytes(node.inode.xattrCount);
    if (total == 0) return;
    const std::uint64_t start = node.behind - total;
    const std::string where = node.where() + ": its extended attributes";
    const auto header = at<XattrHeader>(start);
    if (header.nameFilter != 0 || header.shared != 0 || !allZero(header.reserved)) refuse(where);
    std::uint64_t offset = start + sizeof header;
    if (offset == node.behind) refuse(where);
    std::set<std::pair<std::uint8_t, std::string_view>> names;
    while (offset < node.behind) {
      const auto entry = at<XattrEntry>(offset);
      offset += sizeof entry;
      const std::uint64_t used = std::uint64_t{entry.nameLength} + entry.valueSize;
      if (roundUp(used, 4) > node.behind - offset) refuse(where + " end too early");
      const std::string_view name = text(range(offset, entry.nameLength));
      const std::string_view value = text(range(offset + entry.nameLength, entry.valueSize));
      if (!allZero(range(offset + used, roundUp(used, 4) - used))) refuse(where);
      if (!names.emplace(entry.prefix, name).second) refuse(where + ": one comes twice");
      if (!isGoodXattr(node.kind, entry.prefix, name, value)) {
        refuse(where + ": " + inQuotes(name));
      }
      offset += roundUp(used, 4);
    }
  }

  static bool isGoodXattr(std::uint32_t kind, std::uint8_t prefix, std::string_view name,
                          std::string_view value) {
    if (prefix == kXattrAccessAcl || prefix == kXattrDefaultAcl) {
      if (S_ISLNK(kind) || (prefix == kXattrDefaultAcl && !S_ISDIR(kind))) return false;
      try {
        return name.empty() && !aclText(value).empty();
      } catch (const Error&) {
        return false;
      }
    }
    if (name.empty() || name.find('\0') != name.npos) return false;
    if (prefix == kXattrSecurity) return true;
    const bool user = prefix == kXattrUser;
    if (!user && prefix != kXattrTrusted) return false;
    if (user && !S_ISREG(kind) && !S_ISDIR(kind)) return false;
    return !isOverlayXattr((user ? "user." : "trusted.") + std::string(name));
  }

  void readDirectory(const Directory& directory) {
    const Checked node = load(directory.number);
    std::string_view before;
    bool dot = false;
    bool dotDot = false;
    std::uint64_t subdirectories = 0;
    for (std::uint64_t i = 0; i < blocksOf(node.inode.size); ++i) {
      forEachDirent(node, i, [&](std::string_view name, const Dirent& dirent) {
        if (name <= before) refuse(node.where() + ": the name " + inQuotes(name) + " is misplaced");
        before = name;
        if (name == "." || name == "..") {
          (name == "." ? dot : dotDot) = true;
          const std::uint64_t meant = name == "." ? directory.number : directory.parent;
          if (dirent.inode != meant || dirent.type != direntType(S_IFDIR)) {
            refuse(node.where() + ": " + inQuotes(name) + " leads elsewhere");
          }
        } else if (meet(node, dirent)) {
          ++subdirectories;
          queue_.push_back({dirent.inode, directory.number});
        }
      });
    }
    if (!dot || !dotDot) refuse(node.where() + ": without \".\" or \"..\"");
    if (node.inode.links != 2 + subdirectories) refuse(node.where() + ": its link count");
  }

  template <typename Take>
  void forEachDirent(const Checked& node, std::uint64_t index, Take&& take) const {
    const auto require = [&](bool good) {
      if (!good) refuse(node.where() + ": block " + std::to_string(index) + " of the directory");
    };
    const Bytes block = dataBlock(node, index);
    const auto dirent = [&](std::size_t i) {
      Dirent value;
      std::memcpy(static_cast<void*>(&value), block.data() + i * sizeof value, sizeof value);
      return value;
    };
    require(block.size() >= sizeof(Dirent));
    std::size_t start = dirent(0).nameOffset;
    require(start >= sizeof(Dirent) && start % sizeof(Dirent) == 0 && start < block.size());
    const std::size_t count = start / sizeof(Dirent);
    for (std::size_t i = 0; i < count; ++i) {
      const Dirent entry = dirent(i);
      require(entry.reserved == 0 && entry.nameOffset == start);
      std::string_view name;
      if (i + 1 < count) {
        const std::size_t end = dirent(i + 1).nameOffset;
        require(end > start && end <= block.size());
        name = text(block.subspan(start, end - start));
        start = end;
      } else {
        // The last one ends with the block, or where it is filled up.
        name = text(block.subspan(start));
        const std::size_t end = std::min(name.find('\0'), name.size());
        require(allZero(block.subspan(start + end)));
        name = name.substr(0, end);
      }
      require(!name.empty() && name.size() <= kMaxName);
      require(name.find('/') == name.npos && name.find('\0') == name.npos);
      take(name, entry);
    }
  }

  // True when it is a directory. These have one name; files may have been met before.
  bool meet(const Checked& parent, const Dirent& dirent) {
    const auto wrongKind = [&] { refuse(parent.where() + ": a name of another kind of file"); };
    const auto known = links_.find(dirent.inode);
    if (known != links_.end()) {
      if (known->second.type != dirent.type) wrongKind();
      ++known->second.found;
      return false;
    }
    const Checked node = visit(dirent.inode);
    if (direntType(node.kind) != dirent.type) wrongKind();
    if (S_ISDIR(node.kind)) return true;
    links_.emplace(dirent.inode, Links{node.inode.links, 1, dirent.type});
    return false;
  }

  const Bytes image_;
  const std::span<const std::uint64_t> sizes_;
  SuperBlock super_;
  std::vector<Device> devices_;
  std::vector<bool> claimed_;  // by slots of the image
  std::deque<Directory> queue_;
  std::unordered_map<std::uint64_t, Links> links_;  // of what is no directory
  std::uint64_t inodes_ = 0;
};

// Owns a mapping of a whole file.
class Mapping {
 public:
  explicit Mapping(int fd) {
    struct stat info {};
    if (fstat(fd, &info) != 0) throwErrno("looking at the EROFS image");
    size_ = static_cast<std::size_t>(info.st_size);
    if (size_ == 0) return;
    data_ = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data_ == MAP_FAILED) throwErrno("mapping the EROFS image");
  }
  ~Mapping() {
    if (size_ != 0) munmap(data_, size_);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  Bytes bytes() const { return {static_cast<const std::byte*>(data_), size_}; }

 private:
  void* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace

void checkErofs(std::span<const std::byte> image, std::span<const std::uint64_t> deviceSizes) {
  Checker(image, deviceSizes).run();
}

void checkErofs(int metadata, std::span<const std::uint64_t> deviceSizes) {
  const Mapping mapping(metadata);
  checkErofs(mapping.bytes(), deviceSizes);
}

}  // namespace actool::cas
