// Trees to EROFS images: what is in them, read back, and that the check takes them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cas/aci_acl.h"
#include "tests/unit/cas/erofs_test_support.h"

namespace actool::cas {
namespace {

RawEntry special(const std::string& name, char type, const std::string& major = "0000000",
                 const std::string& minor = "0000000") {
  return {.name = name, .type = type, .fields = {{329, major}, {337, minor}}};
}

TEST(WriteErofs, HasEveryKindOfEntry) {
  const std::string text(1300, 'y');
  const auto built = buildErofs({image(
      dir("rootfs/etc") + file("rootfs/etc/hosts", "127.0.0.1") + file("rootfs/etc/big", text) +
      file("rootfs/etc/empty", "") + symlink("rootfs/etc/link", "../elsewhere") +
      special("rootfs/null", '3', "0000001", "0000003").str() +
      special("rootfs/sda", '4', "0000010", "0001750").str() + special("rootfs/pipe", '6').str() +
      hardlink("rootfs/zz", "rootfs/etc/hosts") +
      RawEntry{.name = "rootfs/su", .content = "#!", .fields = {{100, "0004755"}}}.str())});
  built.check();
  const ErofsReader reader(built);
  EXPECT_EQ(reader.content("etc/hosts"), "127.0.0.1");
  EXPECT_EQ(reader.content("etc/big"), text);
  EXPECT_EQ(reader.content("etc/empty"), "");
  EXPECT_EQ(reader.content("etc/link"), "../elsewhere");
  EXPECT_EQ(reader.at("etc/link").inode.mode, S_IFLNK | 0777);
  EXPECT_EQ(reader.at("null").inode.mode, S_IFCHR | 0644);
  EXPECT_EQ(reader.at("null").inode.data, 0x103U);
  EXPECT_EQ(reader.at("sda").inode.mode, S_IFBLK | 0644);
  EXPECT_EQ(reader.at("sda").inode.data, 8U << 8 | 1000U % 256 | (1000U / 256) << 20);
  EXPECT_EQ(reader.at("pipe").inode.mode, S_IFIFO | 0644);
  EXPECT_EQ(reader.at("su").inode.mode, S_IFREG | 04755);
  EXPECT_EQ(reader.at("zz").number, reader.at("etc/hosts").number);
  EXPECT_EQ(reader.at("zz").inode.links, 2U);
  EXPECT_EQ(reader.at("").inode.links, 3U);
  EXPECT_EQ(reader.at("etc").inode.links, 2U);
  EXPECT_EQ(reader.at("etc").inode.mtime, 1'000'000'000U);
  EXPECT_EQ(built.report.files, 11U);
  EXPECT_EQ(built.report.bytes, built.image.size());
}

TEST(WriteErofs, IsTheSameEveryTime) {
  const std::vector<std::string> tars = {image(dir("rootfs/a") + file("rootfs/a/b")),
                                         image(file("rootfs/c"))};
  EXPECT_EQ(buildErofs(tars).image, buildErofs(tars).image);
}

TEST(WriteErofs, OrdersNamesByTheirBytes) {
  // Some sort before "." and "..", some have the high bit set.
  const auto built =
      buildErofs({image(file("rootfs/-a") + file("rootfs/+") + file("rootfs/.a") +
                        file("rootfs/..a") + file("rootfs/\xc3\xa9") + file("rootfs/z") +
                        file("rootfs/a-b") + file("rootfs/a") + file("rootfs/a.b"))});
  built.check();
  EXPECT_EQ(ErofsReader(built).files().size(), 10U);
}

TEST(WriteErofs, LargeDirectoriesHaveSeveralBlocks) {
  const auto named = [](const std::string& name) {
    return pax(paxRecord("path", "rootfs/" + name)) + file("-");
  };
  std::string entries;
  for (std::size_t i = 0; i < 500; ++i)
    entries += named(std::string(i % 250, 'n') + std::to_string(i));
  // Directories of every size, so that their ends come at every place of a block.
  for (std::size_t i = 0; i < 90; ++i) {
    for (std::size_t j = 0; j <= i; ++j)
      entries += named("d" + std::to_string(i) + "/" + std::string(i, 'f') + std::to_string(j));
  }
  const auto built = buildErofs({image(entries)});
  built.check();
  EXPECT_EQ(ErofsReader(built).files().size(), 1U + 500 + 90 + 90 * 91 / 2);
}

TEST(WriteErofs, LinksOfEveryLength) {
  std::string entries;
  for (std::size_t length = 1; length <= 1600; length += 13) {
    entries += pax(paxRecord("linkpath", std::string(length, 'x'))) +
               symlink("rootfs/l" + std::to_string(length), "-");
    entries += pax(paxRecord("linkpath", std::string(length, 'x')) +
                   paxRecord("SCHILY.xattr.trusted.t", std::string(length % 401, 'v'))) +
               symlink("rootfs/x" + std::to_string(length), "-");
  }
  const auto built = buildErofs({image(entries)});
  built.check();
  const ErofsReader reader(built);
  for (std::size_t length = 1; length <= 1600; length += 13) {
    EXPECT_EQ(reader.content("l" + std::to_string(length)), std::string(length, 'x'));
    EXPECT_EQ(reader.content("x" + std::to_string(length)), std::string(length, 'x'));
    EXPECT_EQ(reader.at("x" + std::to_string(length)).xattrs.at("4:t"),
              std::string(length % 401, 'v'));
  }
}

TEST(WriteErofs, KeepsOwnersAndTimes) {
  const auto built = buildErofs({image(
      pax(paxRecord("uid", "4000000000") + paxRecord("gid", "3000000000") +
          paxRecord("mtime", "-1.5")) +
      file("rootfs/old") + pax(paxRecord("mtime", "9999999999.123456789")) + file("rootfs/new"))});
  built.check();
  const ErofsReader reader(built);
  const auto& old = reader.at("old").inode;
  EXPECT_EQ(old.uid, 4'000'000'000U);
  EXPECT_EQ(old.gid, 3'000'000'000U);
  EXPECT_EQ(static_cast<std::int64_t>(std::uint64_t{old.mtime}), -2);
  EXPECT_EQ(old.mtimeNanoseconds, 500'000'000U);
  EXPECT_EQ(reader.at("new").inode.mtime, 9'999'999'999U);
  EXPECT_EQ(reader.at("new").inode.mtimeNanoseconds, 123'456'789U);
}

TEST(WriteErofs, DirectoriesWithoutAnEntryAreRootsOf1970) {
  const auto built = buildErofs({image(file("rootfs/a/b"))});
  built.check();
  const ErofsReader reader(built);
  const auto& inode = reader.at("a").inode;
  EXPECT_EQ(inode.mode, S_IFDIR | 0755);
  EXPECT_EQ(inode.mtime, 0U);
  EXPECT_EQ(inode.uid, 0U);
}

TEST(WriteErofs, LayersAreDevices) {
  const auto built = buildErofs({image(file("rootfs/base", "base") + file("rootfs/both", "old")),
                                 image(file("rootfs/both", "new") + file("rootfs/top", "top"))});
  built.check();
  const ErofsReader reader(built);
  EXPECT_EQ(reader.content("base"), "base");
  EXPECT_EQ(reader.content("both"), "new");
  EXPECT_EQ(reader.content("top"), "top");
}

std::string withXattrs(const std::string& records, const std::string& entry) {
  return pax(records) + entry;
}

TEST(WriteErofs, HasAttributes) {
  const auto built = buildErofs(
      {image(withXattrs(paxRecord("SCHILY.xattr.user.note", std::string("a\0b", 3)) +
                            paxRecord("SCHILY.xattr.security.capability", "cap") +
                            paxRecord("SCHILY.xattr.trusted.big", std::string(3000, 'v')) +
                            paxRecord("SCHILY.xattr.user.empty", ""),
                        file("rootfs/a")) +
             withXattrs(paxRecord("SCHILY.xattr.user.note", "x") +
                            paxRecord("SCHILY.xattr.com.example", "x"),
                        symlink("rootfs/link", "a")))});
  built.check();
  const ErofsReader reader(built);
  const std::map<std::string, std::string> expected = {{"1:note", std::string("a\0b", 3)},
                                                       {"6:capability", "cap"},
                                                       {"4:big", std::string(3000, 'v')},
                                                       {"1:empty", ""}};
  EXPECT_EQ(reader.at("a").xattrs, expected);
  EXPECT_TRUE(reader.at("link").xattrs.empty());
  EXPECT_EQ(built.report.xattrsSkipped, 2U);
  EXPECT_EQ(built.report.firstXattrSkipped, "com.example");
}

TEST(WriteErofs, AclsAgreeWithTheMode) {
  const auto withAcl = [](const std::string& acl, RawEntry entry) {
    return pax(paxRecord("SCHILY.acl.access", acl)) + entry.str();
  };
  const auto built = buildErofs({image(
      withAcl("user::rw-,user:1000:rwx,group::r--,mask::rwx,other::---",
              {.name = "rootfs/a", .fields = {{100, "0000751"}}}) +
      withAcl("user::rwx,group::rwx,other::rwx", {.name = "rootfs/plain"}) +
      withAcl("user::rw-,user:nobody:r--,group::r--,mask::r--,other::r--",
              {.name = "rootfs/named"}) +
      pax(paxRecord("SCHILY.acl.default", "user::rwx,group::r-x,other::---")) + dir("rootfs/d"))});
  built.check();
  const ErofsReader reader(built);
  // As after chmod(2) with that mode.
  EXPECT_EQ(aclText(reader.at("a").xattrs.at("2:")),
            "user::rwx,user:1000:rwx,group::r--,mask::r-x,other::--x");
  EXPECT_TRUE(reader.at("plain").xattrs.empty());
  EXPECT_TRUE(reader.at("named").xattrs.empty());
  EXPECT_EQ(built.report.aclsSkipped, 1U);
  EXPECT_EQ(aclText(reader.at("d").xattrs.at("3:")), "user::rwx,group::r-x,other::---");
}

// A file of GNU's format 0.1 whose pieces are at these offsets.
std::string sparse(const std::string& name, std::uint64_t size,
                   const std::vector<std::pair<std::uint64_t, std::string>>& pieces) {
  std::string map;
  std::string data;
  for (const auto& [offset, text] : pieces) {
    map += (map.empty() ? "" : ",") + std::to_string(offset) + "," + std::to_string(text.size());
    data += text;
  }
  return pax(paxRecord("GNU.sparse.map", map) + paxRecord("GNU.sparse.size", std::to_string(size)) +
             paxRecord("GNU.sparse.numblocks", std::to_string(pieces.size()))) +
         file(name, data);
}

TEST(WriteErofs, SparseFilesStayInTheTarWhereTheyCan) {
  const std::string page(4096, 'p');
  const auto built = buildErofs(
      {image(sparse("rootfs/a", 40'000, {{8192, page}, {32768, std::string(7232, 'e')}}) +
             sparse("rootfs/touching", 8192, {{0, page}, {4096, page}}) +
             sparse("rootfs/hole", std::uint64_t{1} << 40, {}) +
             sparse("rootfs/odd", 3000, {{100, "abc"}, {1000, "def"}, {2999, "g"}}))});
  built.check();
  const ErofsReader reader(built);
  const std::string a =
      std::string(8192, '\0') + page + std::string(32768 - 12288, '\0') + std::string(7232, 'e');
  EXPECT_EQ(reader.content("a"), a);
  EXPECT_EQ(reader.at("a").inode.format >> 1, 4);
  EXPECT_EQ(reader.at("a").inode.data, 3U);  // 4096 bytes: nothing had to be copied
  EXPECT_EQ(reader.content("touching"), page + page);
  EXPECT_EQ(reader.at("touching").inode.format >> 1, 0);
  EXPECT_EQ(reader.at("hole").inode.size, std::uint64_t{1} << 40);
  EXPECT_EQ(reader.chunks("hole"), std::vector<std::uint32_t>{erofs::kNoBlock});
  std::string odd(3000, '\0');
  odd.replace(100, 3, "abc").replace(1000, 3, "def").replace(2999, 1, "g");
  EXPECT_EQ(reader.content("odd"), odd);
  EXPECT_LT(built.image.size(), 16'000U);
}

TEST(WriteErofs, HugeSparseFilesTakeLittle) {
  const std::string page(4096, 'p');
  const std::uint64_t size = std::uint64_t{9} << 30;
  const auto built =
      buildErofs({image(sparse("rootfs/a", size, {{4096, page}, {size - 4096, page}}))});
  built.check();
  EXPECT_LT(built.image.size(), 1U << 20);
  EXPECT_EQ(ErofsReader(built).at("a").inode.size, size);
}

TEST(WriteErofs, SaysWhatItCantHold) {
  EXPECT_THAT(errorOf([] {
                buildErofs({image(pax(paxRecord("SCHILY.xattr.user.a", std::string(65536, 'x'))) +
                                  dir("rootfs/d") + file("rootfs/d/f"))});
              }),
              testing::HasSubstr("\"d\": an extended attribute of 65536 bytes"));
  EXPECT_THAT(errorOf([] {
                buildErofs({image(pax(paxRecord("SCHILY.xattr.user.a", std::string(40000, 'x')) +
                                      paxRecord("SCHILY.xattr.user.b", std::string(40000, 'x'))) +
                                  file("rootfs/f"))});
              }),
              testing::HasSubstr("too large for EROFS"));
  EXPECT_THAT(errorOf([] {
                buildErofs({image(sparse("rootfs/a", std::uint64_t{1} << 61, {{1 << 20, "x"}}))});
              }),
              testing::HasSubstr("more than 536870912 bytes"));
  EXPECT_THAT(errorOf([] { buildErofs({image(file("rootfs/a"))}, {.bytes = 1024}); }),
              testing::HasSubstr("more than 1024 bytes"));
}

}  // namespace
}  // namespace actool::cas
