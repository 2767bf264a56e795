#include "run/mounts.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "core/base/error.h"
#include "core/base/fs.h"

namespace actool::run {
namespace {

TEST(Mounts, FindsMountPointsBelowADirectoryByComponent) {
  const std::string text =
      "22 1 0:20 / /proc rw - proc proc rw\n"
      "30 1 0:30 / /pods/run/a rw - overlay overlay rw\n"
      "31 30 0:31 / /pods/run/a/stage1/rootfs rw - overlay overlay rw\n"
      "32 31 0:32 / /pods/run/a/stage1/rootfs/with\\040space\\134 rw - overlay overlay rw\n"
      "33 1 0:33 / /pods/run/ab rw - tmpfs tmpfs rw\n"
      "\n"
      "truncated line\n";
  EXPECT_EQ(
      mountPointsBelow(text, "/pods/run/a"),
      (std::vector<Path>{"/pods/run/a/stage1/rootfs", "/pods/run/a/stage1/rootfs/with space\\"}));
  EXPECT_TRUE(mountPointsBelow(text, "/elsewhere").empty());
}

TEST(Mounts, EscapesWhatOverlayfsSplitsAt) {
  EXPECT_EQ(readOnlyOverlayOptions("/a:b,c", "/d\\e"), "lowerdir=/a\\:b\\,c:/d\\\\e");
}

TEST(Mounts, CopiesATreeWithItsLinksAndModes) {
  const TempDir scratch(tempRoot());
  const Path source = scratch.path() / "source";
  const Path target = scratch.path() / "target";
  makeDirs(source / "bin");
  makeDirs(target);
  writeFilePlain(source / "bin/a", "text", 0750);
  ASSERT_EQ(::link((source / "bin/a").c_str(), (source / "b").c_str()), 0);
  ASSERT_EQ(::symlink("/etc/passwd", (source / "link").c_str()), 0);
  ASSERT_EQ(::chmod(source.c_str(), 0711), 0);

  copyTree(source, target);

  struct stat a {};
  struct stat b {};
  struct stat link {};
  struct stat root {};
  ASSERT_EQ(::lstat((target / "bin/a").c_str(), &a), 0);
  ASSERT_EQ(::lstat((target / "b").c_str(), &b), 0);
  ASSERT_EQ(::lstat((target / "link").c_str(), &link), 0);
  ASSERT_EQ(::lstat(target.c_str(), &root), 0);
  EXPECT_EQ(a.st_mode & 07777, 0750u);
  EXPECT_EQ(a.st_ino, b.st_ino);
  EXPECT_TRUE(S_ISLNK(link.st_mode));
  EXPECT_EQ(root.st_mode & 07777, 0711u);
}

TEST(Mounts, ReportsACopyThatFails) {
  const TempDir scratch(tempRoot());
  try {
    copyTree(scratch.path() / "missing", scratch.path());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()), "copying " + (scratch.path() / "missing").string() +
                                             " to " + scratch.path().string() +
                                             ": cp exited with 1");
  }
}

}  // namespace
}  // namespace actool::run
