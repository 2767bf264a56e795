// Trees to EROFS images: what is in them, read back, and that the check takes them.
#include <gtest/gtest.h>

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

}  // namespace
}  // namespace actool::cas
