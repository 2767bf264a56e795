// The check of EROFS metadata: whatever is wrong with an image is found, and nothing makes the
// check itself go astray.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <functional>

#include "tests/unit/cas/erofs_test_support.h"

namespace actool::cas {
namespace {

using erofs::Dirent;
using erofs::Inode;
using erofs::SuperBlock;
using testing::HasSubstr;

std::string everything() {
  const std::string page(4096, 'p');
  std::string many;
  for (int i = 100; i < 160; ++i)
    many += file("rootfs/many/name-" + std::to_string(i));
  return image(
      dir("rootfs/many") + many + symlink("rootfs/link", "target") +
      symlink("rootfs/long", std::string(100, 'l')) +
      pax(paxRecord("SCHILY.xattr.user.note", "value") +
          paxRecord("SCHILY.acl.access", "user::rw-,user:1:r--,group::r--,mask::r--,other::---")) +
      file("rootfs/file", "content") + hardlink("rootfs/hard", "rootfs/file") +
      RawEntry{.name = "rootfs/pipe", .type = '6'}.str() +
      pax(paxRecord("GNU.sparse.map", "8192,4096,20000,10") +
          paxRecord("GNU.sparse.size", "30000") + paxRecord("GNU.sparse.numblocks", "2")) +
      file("rootfs/sparse", page + "0123456789"));
}

class CheckErofs : public testing::Test {
 protected:
  template <typename T>
  T get(std::uint64_t at) const {
    T value;
    std::memcpy(static_cast<void*>(&value), built_.image.data() + at, sizeof value);
    return value;
  }
  template <typename T>
  void set(std::uint64_t at, const T& value) {
    std::memcpy(built_.image.data() + at, &value, sizeof value);
  }

  void fixChecksum() {
    if (built_.image.size() < erofs::kSuperOffset + erofs::kBlock) return;
    const auto block = std::as_bytes(std::span(built_.image)).subspan(erofs::kSuperOffset, 512);
    set(erofs::kSuperOffset + offsetof(SuperBlock, checksum),
        erofs::U32(erofs::superBlockChecksum(block)));
  }

  // What the check says after `change` of the image, with the right checksum. The image is as it
  // was afterwards.
  std::string said(const std::function<void()>& change) {
    const std::string before = built_.image;
    change();
    fixChecksum();
    const std::string message = errorOf([&] { built_.check(); });
    built_.image = before;
    return message;
  }
  std::string saidOfSuper(const std::function<void(SuperBlock&)>& change) {
    return said([&] {
      auto super = get<SuperBlock>(erofs::kSuperOffset);
      change(super);
      set(erofs::kSuperOffset, super);
    });
  }
  std::string saidOfInode(const std::string& path, const std::function<void(Inode&)>& change) {
    return said([&] {
      const std::uint64_t at = reader_.at(path).number * erofs::kInodeSlot;
      auto inode = get<Inode>(at);
      change(inode);
      set(at, inode);
    });
  }
  std::uint64_t behind(const std::string& path) const {
    const auto& file = reader_.at(path);
    return file.number * erofs::kInodeSlot + sizeof(Inode) +
           erofs::xattrBytes(file.inode.xattrCount);
  }
  // The first block of a directory's entries.
  std::uint64_t entriesOf(const std::string& path) const {
    const auto& inode = reader_.at(path).inode;
    return inode.size > 512 ? inode.data * erofs::kBlock : behind(path);
  }
  std::string saidOfDirent(const std::string& path, std::size_t index,
                           const std::function<void(Dirent&)>& change) {
    return said([&] {
      const std::uint64_t at = entriesOf(path) + index * sizeof(Dirent);
      auto dirent = get<Dirent>(at);
      change(dirent);
      set(at, dirent);
    });
  }

  BuiltErofs built_ = buildErofs({everything()});
  const ErofsReader reader_{built_};
};

TEST_F(CheckErofs, TakesWhatIsWritten) {
  EXPECT_EQ(said([] {}), "");
}

TEST_F(CheckErofs, EveryFieldOfTheSuperBlock) {
  const std::vector<std::function<void(SuperBlock&)>> changes = {
      [](SuperBlock& s) { s.magic = 1; },
      [](SuperBlock& s) { s.compatible = 1; },
      [](SuperBlock& s) { s.compatible = 7; },
      [](SuperBlock& s) { s.blockBits = 12; },
      [](SuperBlock& s) { s.extraSlots = 1; },
      [](SuperBlock& s) { s.rootInode = 0; },
      [](SuperBlock& s) { s.rootInode = s.rootInode + 1; },
      [](SuperBlock& s) { s.inodes = s.inodes + 1; },
      [](SuperBlock& s) { s.epoch = 1; },
      [](SuperBlock& s) { s.epochNanoseconds = 1; },
      [](SuperBlock& s) { s.blocks = s.blocks + 1; },
      [](SuperBlock& s) { s.metaBlock = 1; },
      [](SuperBlock& s) { s.xattrBlock = 1; },
      [](SuperBlock& s) { s.volumeName[15] = 'x'; },
      [](SuperBlock& s) { s.incompatible = erofs::kFeatureDevices; },
      [](SuperBlock& s) { s.incompatible = 0x1c; },
      [](SuperBlock& s) { s.compression = 1; },
      [](SuperBlock& s) { s.devices = 2; },
      [](SuperBlock& s) { s.deviceSlot = 10; },
      [](SuperBlock& s) { s.directoryBlockBits = 1; },
      [](SuperBlock& s) { s.xattrPrefixes = 1; },
      [](SuperBlock& s) { s.xattrPrefixStart = 1; },
      [](SuperBlock& s) { s.packedInode = 1; },
      [](SuperBlock& s) { s.reserved[23] = 1; },
  };
  for (std::size_t i = 0; i < changes.size(); ++i)
    EXPECT_NE(saidOfSuper(changes[i]), "") << i;
  built_.image[erofs::kSuperOffset + 4] ^= 1;
  EXPECT_THAT(errorOf([&] { built_.check(); }), HasSubstr("checksum"));
}

TEST_F(CheckErofs, DevicesAreAsLargeAsTheyWere) {
  for (const std::uint64_t other : {std::uint64_t{0}, std::uint64_t{512}, std::uint64_t{1} << 41}) {
    EXPECT_NE(
        errorOf([&] { checkErofs(std::as_bytes(std::span(built_.image)), std::vector{other}); }),
        "");
  }
  EXPECT_NE(errorOf([&] { checkErofs(std::as_bytes(std::span(built_.image)), {}); }), "");
  const std::uint64_t slot = erofs::kSuperOffset + sizeof(SuperBlock);
  for (const std::size_t at :
       {offsetof(erofs::DeviceSlot, blocks), offsetof(erofs::DeviceSlot, firstBlock),
        offsetof(erofs::DeviceSlot, reserved)}) {
    EXPECT_NE(said([&] { built_.image[slot + at] ^= 1; }), "") << at;
  }
  EXPECT_NE(said([&] { built_.image[slot] = 0; }), "");
}

TEST_F(CheckErofs, EveryFieldOfAnInode) {
  const auto refused = [&](const std::string& path, const std::function<void(Inode&)>& change,
                           const std::string& why) {
    EXPECT_THAT(saidOfInode(path, change), HasSubstr(why)) << path;
  };
  for (const std::string path : {"file", "link", "many", "pipe", "sparse", ""}) {
    refused(
        path, [](Inode& i) { i.format = i.format & 0xfffe; }, "format");
    refused(
        path, [](Inode& i) { i.format = i.format | 0x10; }, "format");
    refused(
        path, [](Inode& i) { i.reserved = 1; }, "reserved");
    refused(
        path, [](Inode& i) { i.reserved2[15] = 1; }, "reserved");
    refused(
        path, [](Inode& i) { i.number = i.number + 1; }, "number");
    refused(
        path, [](Inode& i) { i.uid = 0xffffffff; }, "owner");
    refused(
        path, [](Inode& i) { i.gid = 0xffffffff; }, "owner");
    refused(
        path, [](Inode& i) { i.mtimeNanoseconds = 1'000'000'000; }, "time");
    refused(
        path, [](Inode& i) { i.links = 0; }, "link count");
    refused(
        path, [](Inode& i) { i.links = i.links + 1; },
        path.empty() || path == "many" ? "link count" : "names");
    refused(
        path, [](Inode& i) { i.size = std::uint64_t{1} << 63; }, "size");
    refused(
        path, [](Inode& i) { i.mode = i.mode ^ 0xf000; }, "bad EROFS");
    refused(
        path, [](Inode& i) { i.xattrCount = i.xattrCount + 1; }, "bad EROFS");
    refused(
        path, [](Inode& i) { i.xattrCount = 0xffff; }, "bad EROFS");
    refused(
        path, [](Inode& i) { i.format = (1 << 1) | 1; },
        path == "pipe" ? "special file" : "data layout");
    refused(
        path, [](Inode& i) { i.format = (3 << 1) | 1; },
        path == "pipe" ? "special file" : "data layout");
  }
  refused(
      "pipe", [](Inode& i) { i.data = 1; }, "FIFO");
  refused(
      "pipe", [](Inode& i) { i.size = 1; }, "special file");
  refused(
      "file", [](Inode& i) { i.data = 0; }, "in no device");
  refused(
      "file", [](Inode& i) { i.data = 0xfffffffe; }, "outside of device 0");
  refused(
      "file", [](Inode& i) { i.size = 1 << 30; }, "outside of device 0");
  refused(
      "file", [](Inode& i) { i.size = 0; }, "empty file");
  refused(
      "link", [](Inode& i) { i.size = 0; }, "it is empty");
  refused(
      "link", [](Inode& i) { i.size = 4096; }, "too long");
  refused(
      "link", [](Inode& i) { i.size = 7; }, "NUL");
  refused(
      "link", [](Inode& i) { i.data = 1; }, "blocks that it does not have");
  refused(
      "link", [](Inode& i) { i.format = 1; }, "shares bytes");
  refused(
      "many", [](Inode& i) { i.size = std::uint64_t{1} << 40; }, "bad EROFS");
  refused(
      "many", [](Inode& i) { i.size = i.size - 1; }, "bad EROFS");
  refused(
      "many", [](Inode& i) { i.data = 2; }, "shares bytes");
  refused(
      "many", [](Inode& i) { i.data = i.data + 1; }, "bad EROFS");
  refused(
      "sparse", [](Inode& i) { i.data = 32; }, "chunks");
  refused(
      "sparse", [](Inode& i) { i.data = 0x20; }, "chunks");
  refused(
      "sparse", [](Inode& i) { i.size = 0; }, "chunks");
  refused(
      "sparse", [](Inode& i) { i.size = std::uint64_t{1} << 62; }, "bad EROFS");
}

TEST_F(CheckErofs, EveryFieldOfADirectory) {
  const std::uint64_t root = get<SuperBlock>(erofs::kSuperOffset).rootInode;
  for (const std::string path : {"", "many"}) {
    EXPECT_NE(saidOfDirent(path, 2, [](Dirent& d) { d.reserved = 1; }), "");
    EXPECT_NE(saidOfDirent(path, 2, [](Dirent& d) { d.type = 7 - d.type; }), "");
    EXPECT_NE(saidOfDirent(path, 2, [](Dirent& d) { d.inode = 0; }), "");
    EXPECT_NE(saidOfDirent(path, 2, [](Dirent& d) { d.inode = 1 << 30; }), "");
    EXPECT_NE(saidOfDirent(path, 2, [](Dirent& d) { d.inode = ~std::uint64_t{0}; }), "");
    EXPECT_NE(saidOfDirent(path, 2, [](Dirent& d) { d.inode = d.inode + 1; }), "");
    EXPECT_NE(saidOfDirent(path, 0, [](Dirent& d) { d.inode = d.inode + 1; }), "");
    EXPECT_NE(saidOfDirent(path, 1, [](Dirent& d) { d.inode = d.inode + 1; }), "");
    for (const unsigned offset : {0, 1, 12, 13, 511, 512, 65535}) {
      EXPECT_NE(saidOfDirent(path, 0,
                             [&](Dirent& d) { d.nameOffset = static_cast<std::uint16_t>(offset); }),
                "")
          << offset;
      EXPECT_NE(saidOfDirent(path, 2,
                             [&](Dirent& d) { d.nameOffset = static_cast<std::uint16_t>(offset); }),
                "")
          << offset;
    }
    // A directory in itself: a circle.
    EXPECT_NE(saidOfDirent(path, 2,
                           [&](Dirent& d) {
                             d.inode = root;
                             d.type = 2;
                           }),
              "");
  }
  const std::uint64_t names =
      entriesOf("many") + get<Dirent>(entriesOf("many") + 2 * sizeof(Dirent)).nameOffset;
  EXPECT_THAT(said([&] { built_.image[names] = '\0'; }), HasSubstr("directory"));
  EXPECT_THAT(said([&] { built_.image[names] = '/'; }), HasSubstr("directory"));
  // "name-100" and "name-101": the same, and the other way round.
  EXPECT_THAT(said([&] { built_.image[names + 7] = '1'; }), HasSubstr("misplaced"));
  EXPECT_THAT(said([&] { built_.image[names + 7] = '2'; }), HasSubstr("misplaced"));
}

TEST_F(CheckErofs, EveryFieldOfAttributes) {
  const auto& file = reader_.at("file");
  const std::uint64_t header = file.number * erofs::kInodeSlot + sizeof(Inode);
  for (std::uint64_t at = header; at < header + sizeof(erofs::XattrHeader); ++at)
    EXPECT_NE(said([&] { built_.image[at] = 1; }), "") << at - header;
  const std::uint64_t entry = header + sizeof(erofs::XattrHeader);
  const auto refused = [&](const std::function<void(erofs::XattrEntry&)>& change) {
    EXPECT_NE(said([&] {
                auto value = get<erofs::XattrEntry>(entry);
                change(value);
                set(entry, value);
              }),
              "");
  };
  refused([](auto& e) { e.nameLength = 0; });
  refused([](auto& e) { e.nameLength = 255; });
  refused([](auto& e) { e.valueSize = 65535; });
  refused([](auto& e) { e.prefix = 0; });
  refused([](auto& e) { e.prefix = 2; });
  refused([](auto& e) { e.prefix = 5; });
  refused([](auto& e) { e.prefix = 0x81; });
  EXPECT_NE(said([&] { built_.image[entry + sizeof(erofs::XattrEntry)] = '\0'; }), "");
}

TEST_F(CheckErofs, EveryChunk) {
  const std::uint64_t map = behind("sparse");
  const auto chunks = reader_.chunks("sparse");
  const std::uint64_t size = erofs::kBlock << reader_.at("sparse").inode.data;
  ASSERT_GT(chunks.size(), 3U);
  bool copied = false;
  bool mapped = false;
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    const bool inside = chunks[i] * erofs::kBlock < built_.image.size();
    copied = copied || inside;
    mapped = mapped || (!inside && chunks[i] != erofs::kNoBlock);
    for (const std::uint32_t block : {0U, 3U, 0xfffffffeU}) {
      EXPECT_NE(said([&] { set(map + i * 4, erofs::U32(block)); }), "") << i;
    }
  }
  EXPECT_TRUE(copied && mapped) << size;
}

TEST_F(CheckErofs, AnySizeOfTheFile) {
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1024}, std::size_t{1536}, built_.image.size() - 512,
        built_.image.size() - 1, built_.image.size() + 512}) {
    EXPECT_NE(said([&] { built_.image.resize(size); }), "") << size;
  }
}

// A sanitizer makes each look twenty times as long.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::size_t kStep = 61;
#else
constexpr std::size_t kStep = 1;
#endif

// Every bit of the image: refused, or another image that holds together.
TEST_F(CheckErofs, EveryBit) {
  std::size_t taken = 0;
  const std::string before = built_.image;
  for (std::size_t bit = erofs::kSuperOffset * 8; bit < before.size() * 8; bit += kStep) {
    built_.image = before;
    built_.image[bit / 8] = static_cast<char>(built_.image[bit / 8] ^ (1 << (bit % 8)));
    if (bit / 8 < erofs::kSuperOffset + 512) fixChecksum();
    if (!errorOf([&] { built_.check(); }).empty()) continue;
    ++taken;
    EXPECT_EQ(ErofsReader(built_).files().size(), reader_.files().size()) << bit;
  }
  // Owners, times, permissions, letters of names, targets and values; and what has no use.
  EXPECT_GT(taken, 0U);
  EXPECT_LT(taken, before.size() * 4);
}

}  // namespace
}  // namespace actool::cas
