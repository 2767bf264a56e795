// Paths of an image, which must stay in it whatever its links say. Mounting itself is tested with
// real pods (tests/functional/native_test.py).
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/fs.h"
#include "run/native/enter.h"
#include "run/native/mounts.h"
#include "tests/unit/run/native_test_support.h"

namespace actool::run::native {
namespace {

class InRoot : public testing::Test {
 protected:
  void SetUp() override {
    makeDirs(root() / "real");
    makeDirs(outside() / "secret");
    writeFilePlain(root() / "file", "x");
    link("/real", "absolute");
    link("../../../../../../../../" + outside().string(), "climbing");
    link(outside().string(), "out");
    link("/nowhere", "dangling");
    link("loop", "loop");
    fd_ = openFile(root(), O_PATH | O_DIRECTORY);
  }
  Path root() const { return dir_.path() / "root"; }
  Path outside() const { return dir_.path() / "outside"; }
  void link(const std::string& target, const std::string& name) const {
    ASSERT_EQ(::symlink(target.c_str(), (root() / name).c_str()), 0);
  }
  int fd() const { return fd_.get(); }
  static ino_t inode(int fd) {
    struct stat info {};
    EXPECT_EQ(::fstat(fd, &info), 0);
    return info.st_ino;
  }
  static ino_t inode(const Path& path) { return inode(openFile(path, O_PATH).get()); }

  TempDir dir_{tempRoot()};
  UniqueFd fd_;
};

TEST_F(InRoot, AbsoluteLinksAreOfTheRoot) {
  EXPECT_EQ(inode(openInRoot(fd(), "/absolute", O_PATH).get()), inode(root() / "real"));
}

TEST_F(InRoot, NothingLeadsOut) {
  EXPECT_FALSE(tryOpenInRoot(fd(), "/out/secret", O_PATH));
  EXPECT_FALSE(tryOpenInRoot(fd(), "/climbing/secret", O_PATH));
  EXPECT_FALSE(tryOpenInRoot(fd(), "/../outside/secret", O_PATH));
  EXPECT_FALSE(tryOpenInRoot(fd(), "/loop", O_PATH));
  EXPECT_EQ(inode(openInRoot(fd(), "/../../..", O_PATH).get()), inode(root()));
}

TEST_F(InRoot, MissingPathIsNamed) {
  EXPECT_EQ(messageOf([&] { openInRoot(fd(), "/a/b", O_PATH); }),
            "opening \"/a/b\" in the app's root: No such file or directory");
}

TEST_F(InRoot, DirectoriesAreMadeInsideWithTheirMode) {
  const mode_t mask = ::umask(0);
  makeDirInRoot(fd(), "/absolute/a/b");
  ::umask(mask);
  struct stat info {};
  ASSERT_EQ(::stat((root() / "real/a/b").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777U, 0755U);
}

TEST_F(InRoot, DirectoriesAreNeverMadeOutside) {
  if (::geteuid() != 0) {
    ASSERT_EQ(std::getenv("CI"), nullptr) << "in CI this test has to run, as root";
    GTEST_SKIP() << "makes directories owned by root";
  }
  EXPECT_EQ(messageOf([&] { makeDirInRoot(fd(), "/out/new"); }),
            "making directory \"/out\" in the app's root: File exists");
  EXPECT_EQ(listDir(outside()), std::vector<std::string>{"secret"});
}

TEST_F(InRoot, WhatIsNoDirectoryIsInTheWay) {
  EXPECT_EQ(messageOf([&] { makeDirInRoot(fd(), "/file/a"); }),
            "\"/file\" in the app's root is not a directory");
  EXPECT_EQ(messageOf([&] { makeDirInRoot(fd(), "/dangling"); }),
            "making directory \"/dangling\" in the app's root: File exists");
}

TEST_F(InRoot, SourceOfAVolumeHasNoLinkOnItsWay) {
  EXPECT_EQ(inode(openWithoutSymlinks(root() / "real").get()), inode(root() / "real"));
  const std::string through = (root() / "out" / "secret").string();
  EXPECT_EQ(
      messageOf([&] { openWithoutSymlinks(through); }),
      "\"" + through + "\" is or goes through a symbolic link; name the place that it leads to");
}

TEST(InnerPid, IsTheLastOfSeveral) {
  EXPECT_EQ(innerPid("Name:\tsh\nNSpid:\t812\t2\nNSpgid:\t9\t9\n"), 2);
  EXPECT_EQ(innerPid("NSpid:\t812\t40\t1\n"), 1);
  EXPECT_EQ(innerPid("NSpid:\t812\n"), std::nullopt);
  EXPECT_EQ(innerPid("NSpid:\t812\tx\n"), std::nullopt);
  EXPECT_EQ(innerPid("Name:\tsh\n"), std::nullopt);
}

TEST(HasNotExecuted, IsABitOfTheNinthField) {
  EXPECT_TRUE(hasNotExecuted("7 (actool) S 1 7 7 0 -1 4194368 82 0\n"));
  EXPECT_FALSE(hasNotExecuted("7 (sh) S 1 7 7 0 -1 4194304 82 0\n"));
  // A program's name may look like fields.
  EXPECT_TRUE(hasNotExecuted("7 (a) S 1 1 1 0 -1 0) S 1 7 7 0 -1 64 82 0\n"));
  EXPECT_FALSE(hasNotExecuted("7 (a b) Z 1"));
  EXPECT_FALSE(hasNotExecuted(""));
}

}  // namespace
}  // namespace actool::run::native
