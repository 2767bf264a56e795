#include "cas/erofs/write.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <limits>
#include <string_view>

#include "cas/aci_path.h"
#include "cas/erofs/block_writer.h"
#include "cas/erofs/chunks.h"
#include "cas/erofs/format.h"
#include "cas/erofs/xattrs.h"
#include "core/base/digest.h"
#include "core/base/error.h"

namespace actool::cas {

namespace {

using namespace erofs;  // NOLINT(google-build-using-namespace): the format's names, here only

constexpr std::size_t kMaxName = 255;       // NAME_MAX
constexpr std::uint64_t kMaxTarget = 4095;  // PATH_MAX

struct Node {
  const TarEntry* entry = nullptr;        // none: a directory that no layer has
  const RenderNode* directory = nullptr;  // none: no directory
  std::size_t device = 0;
  std::size_t parent = 0;
  std::size_t firstChild = 0;  // directories: in children_
  std::uint32_t links = 0;
  DataLayout layout = DataLayout::flat;
  std::uint32_t data = 0;     // Inode::data
  std::uint32_t xattrs = 0;   // bytes
  std::uint64_t at = 0;       // offset in the image
  std::uint64_t size = 0;     // Inode::size
  std::uint64_t block = 0;    // its data in the image starts here, counted from the data area's
                              // first block
  std::uint64_t outside = 0;  // whole blocks there
};

std::uint32_t modeOf(const Node& node) {
  if (node.entry == nullptr) return S_IFDIR | 0755;
  if (node.entry->type == TarType::symlink) return S_IFLNK | 0777;
  return kindBits(node.entry->type) | node.entry->mode;
}

// A name of a directory, "." and ".." among them.
struct Name {
  std::string_view text;
  std::size_t node;
};

class Writer {
 public:
  Writer(const RenderTree& tree, const std::vector<ErofsDevice>& devices,
         const std::vector<std::size_t>& deviceOfLayer, int out, const ErofsLimits& limits)
      : tree_(tree),
        devices_(devices),
        deviceOfLayer_(deviceOfLayer),
        out_(out),
        limits_(limits),
        nodeOfInode_(tree.inodes().size(), kNoNode) {}

  RenderReport run() {
    placeDevices();
    collect();
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      try {
        place(i);
      } catch (Error& error) {
        error.addContext(inQuotes(pathOf(i)));
        throw;
      }
    }
    dataArea_ = roundUp(end_, kBlock) / kBlock;
    blocks_ = dataArea_ + dataBlocks_;
    firstBlocks();
    write();
    report_.bytes = blocks_ * kBlock;
    return report_;
  }

 private:
  static constexpr std::size_t kNoNode = ~std::size_t{0};

  void placeDevices() {
    if (devices_.size() > 0xffff) throw Error("more layers than EROFS has devices");
    end_ = kSuperOffset + sizeof(SuperBlock) + devices_.size() * sizeof(DeviceSlot);
    // Its number has 16 bits only.
    if (end_ / kInodeSlot > 0xffff) throw Error("more layers than fit in front of the root inode");
  }

  // Breadth first: the inodes of a directory's files lie together.
  void collect() {
    addNode(tree_.root(), 0);
    nodes_[0].links = 2;
    report_.files = 1;
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      if (nodes_[i].directory == nullptr) continue;
      nodes_[i].firstChild = children_.size();
      for (const auto& [name, child] : nodes_[i].directory->children) {
        ++report_.files;
        if (name.size() > kMaxName) throw Error("a name of more than 255 bytes");
        if (child->directory) {
          children_.push_back(addNode(*child, i));
          nodes_.back().links = 2;
          ++nodes_[i].links;
          continue;
        }
        std::size_t& known = nodeOfInode_[child->inode];
        if (known == kNoNode) known = addNode(*child, i);
        ++nodes_[known].links;
        children_.push_back(known);
      }
    }
  }

  std::size_t addNode(const RenderNode& from, std::size_t parent) {
    Node node;
    node.parent = parent;
    if (from.directory) node.directory = &from;
    if (from.inode != RenderNode::kNoInode) {
      const RenderInode& inode = tree_.inodes()[from.inode];
      node.entry = &inode.entry;
      node.device = deviceOfLayer_.at(inode.layer);
    }
    nodes_.push_back(node);
    return nodes_.size() - 1;
  }

  std::vector<Name> namesOf(std::size_t self) const {
    const Node& node = nodes_[self];
    std::vector<Name> names;
    names.reserve(node.directory->children.size() + 2);
    std::size_t child = node.firstChild;
    for (const auto& [name, unused] : node.directory->children)
      names.push_back({name, children_[child++]});
    for (const Name& own : {Name{".", self}, Name{"..", node.parent}}) {
      const auto where =
          std::lower_bound(names.begin(), names.end(), own,
                           [](const Name& a, const Name& b) { return a.text < b.text; });
      names.insert(where, own);
    }
    return names;
  }

  // Calls `take` with the names of each block and what they fill of it.
  template <typename Take>
  static void forEachBlock(const std::vector<Name>& names, Take&& take) {
    std::size_t first = 0;
    std::size_t used = 0;
    for (std::size_t i = 0; i < names.size(); ++i) {
      const std::size_t more = sizeof(Dirent) + names[i].text.size();
      if (used + more > kBlock) {
        take(std::span(names).subspan(first, i - first), used);
        first = i;
        used = 0;
      }
      used += more;
    }
    take(std::span(names).subspan(first), used);
  }

  void place(std::size_t index) {
    Node& node = nodes_[index];
    const TarEntry* entry = node.entry;
    std::string xattrs;
    if (entry != nullptr) xattrs = encodeXattrs(*entry, report_);
    node.xattrs = static_cast<std::uint32_t>(xattrs.size());
    if (node.directory != nullptr) {
      std::uint64_t full = 0;
      std::uint64_t last = 0;
      forEachBlock(namesOf(index), [&](std::span<const Name>, std::size_t used) {
        full += last == 0 ? 0 : kBlock;
        last = used;
      });
      node.size = full + last;
      placeData(node);
    } else if (entry->type == TarType::symlink) {
      node.size = entry->linkTarget.size();
      if (node.size > kMaxTarget) throw Error("a symbolic link of more than 4095 bytes");
      placeData(node);
    } else if (entry->type == TarType::regular) {
      placeFile(node);
    } else {
      if (entry->type != TarType::fifo) {
        node.data = deviceNumber(entry->deviceMajor, entry->deviceMinor);
      }
      placeInode(node, 0);
    }
    if (end_ + dataBlocks_ * kBlock > limits_.bytes) {
      throw Error("an EROFS image of the tree would have more than " +
                  std::to_string(limits_.bytes) + " bytes");
    }
  }

  // The inode with its attributes and `behind` more bytes, of which the first `together` bytes
  // lie in one block.
  void placeInode(Node& node, std::uint64_t behind, std::uint64_t together = sizeof(Inode)) {
    std::uint64_t at = roundUp(end_, kInodeSlot);
    if (at % kBlock + together > kBlock) at = roundUp(at, kBlock);
    node.at = at;
    end_ = at + sizeof(Inode) + node.xattrs + behind;
  }

  // Data of the image itself: the end of it behind the inode where both fit into a block (kernels
  // want no more than the data itself there, but for links the old ones want this), blocks
  // otherwise.
  void placeData(Node& node) {
    const std::uint64_t tail = node.size % kBlock;
    const std::uint64_t together = sizeof(Inode) + node.xattrs + tail;
    const bool inlined = tail > 0 && together <= kBlock;
    node.layout = inlined ? DataLayout::inlined : DataLayout::flat;
    node.outside = inlined ? node.size / kBlock : (node.size + kBlock - 1) / kBlock;
    node.block = dataBlocks_;
    dataBlocks_ += node.outside;
    if (inlined) {
      placeInode(node, tail, together);
    } else {
      placeInode(node, 0);
    }
  }

  void placeFile(Node& node) {
    const TarEntry& entry = *node.entry;
    const std::uint64_t tarSize = devices_.at(node.device).size;
    if (entry.dataOffset > tarSize || entry.dataSize > tarSize - entry.dataOffset) {
      throw TrustError("the tar is truncated");
    }
    node.size = entry.size;
    if (entry.size > std::uint64_t{std::numeric_limits<std::int64_t>::max()}) {
      throw Error("a file of more than 8 EiB");
    }
    if (inPlace(node)) return placeInode(node, 0);
    const ChunkPlan plan(extentsOf(entry), entry.size);
    node.layout = DataLayout::chunks;
    node.data = plan.bits();
    node.block = dataBlocks_;
    node.outside = plan.copiedBytes() / kBlock;
    dataBlocks_ += node.outside;
    placeInode(node, plan.chunks() * sizeof(U32));
  }

  // Nothing, or whole blocks of the tar one after the other.
  static bool inPlace(const Node& node) {
    if (node.size == 0) return true;
    const std::vector<Extent> extents = extentsOf(*node.entry);
    return extents.size() == 1 && extents[0].length == node.size && extents[0].tar % kBlock == 0;
  }

  void firstBlocks() {
    std::uint64_t next = blocks_;
    for (const ErofsDevice& device : devices_) {
      firstBlock_.push_back(next);
      next += (device.size + kBlock - 1) / kBlock;
    }
    if (next >= kNoBlock) throw Error("tars of more than 2 TiB together");
  }

  std::uint32_t blockOf(const Node& node, std::uint64_t tar) const {
    return static_cast<std::uint32_t>(firstBlock_.at(node.device) + tar / kBlock);
  }

  std::uint32_t inImage(std::uint64_t dataBlock) const {
    return static_cast<std::uint32_t>(dataArea_ + dataBlock);
  }

  void write() {
    BlockWriter inodes(out_, 0);
    BlockWriter data(out_, dataArea_ * kBlock);
    inodes.fillTo(kSuperOffset);
    inodes.putStruct(superBlock());
    for (std::size_t i = 0; i < devices_.size(); ++i)
      inodes.putStruct(deviceSlot(i));
    for (std::size_t i = 0; i < nodes_.size(); ++i)
      writeNode(i, inodes, data);
    inodes.fillTo(dataArea_ * kBlock);
    inodes.flush();
    data.flush();
    writeChecksum();
  }

  SuperBlock superBlock() const {
    SuperBlock super;
    super.magic = kMagic;
    super.compatible = kFeatureChecksum | kFeatureMtime;
    super.blockBits = kBlockBits;
    super.rootInode = static_cast<std::uint16_t>(nodes_[0].at / kInodeSlot);
    super.inodes = nodes_.size();
    super.blocks = static_cast<std::uint32_t>(blocks_);
    // overlayfs tells its layers apart by this.
    Hasher hasher(DigestAlgorithm::sha256);
    for (const ErofsDevice& device : devices_)
      hasher.update(device.tag + "\n");
    const std::string hex = hasher.finish().hex();
    for (std::size_t i = 0; i < super.uuid.size(); ++i)
      super.uuid[i] = static_cast<std::uint8_t>(std::stoul(hex.substr(2 * i, 2), nullptr, 16));
    super.incompatible = kFeatureChunks | (devices_.empty() ? 0 : kFeatureDevices);
    super.devices = static_cast<std::uint16_t>(devices_.size());
    if (!devices_.empty()) {
      super.deviceSlot =
          static_cast<std::uint16_t>((kSuperOffset + sizeof(SuperBlock)) / sizeof(DeviceSlot));
    }
    return super;
  }

  DeviceSlot deviceSlot(std::size_t index) const {
    const ErofsDevice& device = devices_[index];
    DeviceSlot slot;
    std::copy_n(device.tag.begin(), std::min(device.tag.size(), slot.tag.size()), slot.tag.begin());
    slot.blocks = static_cast<std::uint32_t>((device.size + kBlock - 1) / kBlock);
    slot.firstBlock = static_cast<std::uint32_t>(firstBlock_[index]);
    return slot;
  }

  void writeNode(std::size_t index, BlockWriter& inodes, BlockWriter& data) const {
    const Node& node = nodes_[index];
    inodes.fillTo(node.at);
    inodes.putStruct(inodeOf(node));
    if (node.xattrs > 0) {
      RenderReport counted;  // was told by place()
      const std::string xattrs = encodeXattrs(*node.entry, counted);
      inodes.put(std::as_bytes(std::span(xattrs)));
    }
    if (node.directory != nullptr) {
      writeDirectory(index, inodes, data);
    } else if (node.entry->type == TarType::symlink) {
      writeLink(node, inodes, data);
    } else if (node.layout == DataLayout::chunks) {
      writeChunks(node, inodes, data);
    }
  }

  Inode inodeOf(const Node& node) const {
    Inode inode;
    inode.format =
        static_cast<std::uint16_t>(kExtendedInode | (static_cast<std::uint16_t>(node.layout) << 1));
    if (node.xattrs > 0) {
      inode.xattrCount = static_cast<std::uint16_t>((node.xattrs - sizeof(XattrHeader)) / 4 + 1);
    }
    inode.mode = static_cast<std::uint16_t>(modeOf(node));
    inode.size = node.size;
    inode.data = node.data;
    if (node.directory == nullptr && node.entry->type == TarType::regular) {
      if (node.layout == DataLayout::flat && node.size > 0) {
        inode.data = blockOf(node, extentsOf(*node.entry)[0].tar);
      }
    } else if (node.outside > 0) {
      inode.data = inImage(node.block);
    }
    inode.number = static_cast<std::uint32_t>(node.at / kInodeSlot);
    inode.links = node.links;
    if (node.entry != nullptr) {
      inode.uid = node.entry->uid;
      inode.gid = node.entry->gid;
      inode.mtime = static_cast<std::uint64_t>(node.entry->mtime.seconds);
      inode.mtimeNanoseconds = static_cast<std::uint32_t>(node.entry->mtime.nanoseconds);
    }
    return inode;
  }

  void writeDirectory(std::size_t index, BlockWriter& inodes, BlockWriter& data) const {
    std::uint64_t outside = nodes_[index].outside;
    forEachBlock(namesOf(index), [&](std::span<const Name> names, std::size_t /*used*/) {
      BlockWriter& to = outside > 0 ? data : inodes;
      std::size_t nameOffset = names.size() * sizeof(Dirent);
      for (const Name& name : names) {
        Dirent dirent;
        dirent.inode = nodes_[name.node].at / kInodeSlot;
        dirent.nameOffset = static_cast<std::uint16_t>(nameOffset);
        dirent.type = direntType(modeOf(nodes_[name.node]));
        to.putStruct(dirent);
        nameOffset += name.text.size();
      }
      for (const Name& name : names)
        to.put(std::as_bytes(std::span(name.text)));
      if (outside == 0) return;
      to.fillTo(roundUp(to.at(), kBlock));
      --outside;
    });
  }

  static void writeLink(const Node& node, BlockWriter& inodes, BlockWriter& data) {
    const auto target = std::as_bytes(std::span(node.entry->linkTarget));
    const auto outside =
        static_cast<std::size_t>(std::min<std::uint64_t>(node.outside * kBlock, target.size()));
    data.put(target.first(outside));
    data.fillTo(roundUp(data.at(), kBlock));
    inodes.put(target.subspan(outside));
  }

  void writeChunks(const Node& node, BlockWriter& inodes, BlockWriter& data) const {
    const ChunkPlan plan(extentsOf(*node.entry), node.size);
    const int tar = devices_[node.device].tar;
    auto extent = plan.extents().begin();
    plan.forEach([&](const Chunk& chunk) {
      std::uint32_t block = kNoBlock;
      if (chunk.kind == Chunk::Kind::mapped) block = blockOf(node, chunk.tar);
      if (chunk.kind == Chunk::Kind::copied) {
        block = static_cast<std::uint32_t>(data.at() / kBlock);
        const std::uint64_t base = data.at();
        const std::uint64_t end = chunk.offset + chunk.length;
        while (extent->offset + extent->length <= chunk.offset)
          ++extent;
        for (auto piece = extent; piece != plan.extents().end() && piece->offset < end; ++piece) {
          const std::uint64_t from = std::max(piece->offset, chunk.offset);
          const std::uint64_t to = std::min(piece->offset + piece->length, end);
          data.fillTo(base + (from - chunk.offset));
          data.copy(tar, piece->tar + (from - piece->offset), to - from);
        }
        data.fillTo(base + roundUp(chunk.length, kBlock));
      }
      inodes.putStruct(U32(block));
    });
  }

  void writeChecksum() const {
    std::vector<std::byte> block(kBlock);
    const ssize_t got = pread(out_, block.data(), block.size(), kSuperOffset);
    if (got < 0) throwErrno("reading the EROFS image");
    if (static_cast<std::size_t>(got) != block.size()) throw Error("the EROFS image is cut short");
    BlockWriter checksum(out_, kSuperOffset + offsetof(SuperBlock, checksum));
    checksum.putStruct(U32(superBlockChecksum(block)));
    checksum.flush();
  }

  // For messages.
  std::string pathOf(std::size_t index) const {
    std::string path;
    for (; index != 0; index = nodes_[index].parent) {
      const Node& parent = nodes_[nodes_[index].parent];
      std::size_t child = parent.firstChild;
      for (const auto& [name, unused] : parent.directory->children) {
        if (children_[child++] != index) continue;
        path = path.empty() ? name : name + "/" + path;
        break;
      }
    }
    return path;
  }

  const RenderTree& tree_;
  const std::vector<ErofsDevice>& devices_;
  const std::vector<std::size_t>& deviceOfLayer_;
  const int out_;
  const ErofsLimits limits_;
  std::deque<Node> nodes_;                 // parents first
  std::vector<std::size_t> children_;      // nodes, directory after directory
  std::vector<std::size_t> nodeOfInode_;   // by the tree's inodes
  std::vector<std::uint64_t> firstBlock_;  // by device
  std::uint64_t end_ = 0;                  // of the inodes placed so far
  std::uint64_t dataBlocks_ = 0;           // placed so far
  std::uint64_t dataArea_ = 0;             // first block of them
  std::uint64_t blocks_ = 0;
  RenderReport report_;
};

}  // namespace

RenderReport writeErofs(const RenderTree& tree, const std::vector<ErofsDevice>& devices,
                        const std::vector<std::size_t>& deviceOfLayer, int out,
                        const ErofsLimits& limits) {
  return Writer(tree, devices, deviceOfLayer, out, limits).run();
}

}  // namespace actool::cas
