// Descriptors, files, directories and locks.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <thread>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/base/fs.h"
#include "core/base/lock.h"

namespace actool {
namespace {

class Files : public testing::Test {
 protected:
  const Path& dir() const { return temp_.path(); }

 private:
  TempDir temp_{tempRoot(), "actool-test."};
};

bool closedOnExec(int fd) {
  return (::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
}

TEST_F(Files, EveryDescriptorIsCloseOnExec) {
  EXPECT_TRUE(closedOnExec(openFile((dir() / "a").string(), O_RDWR | O_CREAT).get()));
  const Pipe pipe = makePipe();
  EXPECT_TRUE(closedOnExec(pipe.read.get()));
  EXPECT_TRUE(closedOnExec(pipe.write.get()));
  EXPECT_TRUE(closedOnExec(FileLock::acquire(dir() / "lock", LockMode::shared).fd()));
}

TEST_F(Files, ReadFileHasALimit) {
  writeFileAtomic(dir() / "ten", "0123456789");
  EXPECT_EQ(readFile(dir() / "ten", 10), "0123456789");
  EXPECT_THROW(readFile(dir() / "ten", 9), Error);
  EXPECT_EQ(tryReadFile(dir() / "none", 10), std::nullopt);
  try {
    readFile(dir() / "none", 10);
    FAIL() << "a missing file was read";
  } catch (const NotFoundError& error) {
    EXPECT_EQ(error.what(), (dir() / "none").string() + " does not exist");
  }
}

TEST_F(Files, AtomicWriteReplacesAndLeavesNothingBehind) {
  writeFileAtomic(dir() / "f", "old", 0600);
  writeFileAtomic(dir() / "f", "new", 0640);
  EXPECT_EQ(readFile(dir() / "f", 100), "new");
  EXPECT_EQ(listDir(dir()), std::vector<std::string>{"f"});
  struct stat info {};
  ASSERT_EQ(::stat((dir() / "f").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0640u);
  ASSERT_EQ(::mkdir((dir() / "d").c_str(), 0755), 0);
  EXPECT_THROW(writeFileAtomic(dir() / "d", "x"), SystemError);
  EXPECT_EQ(listDir(dir()), (std::vector<std::string>{"d", "f"}));
}

TEST_F(Files, RemoveTreeNeverFollowsLinks) {
  makeDirs(dir() / "outside");
  writeFilePlain(dir() / "outside" / "precious", "x");
  makeDirs(dir() / "tree/a/b");
  writeFilePlain(dir() / "tree/a/b/c", "x");
  ASSERT_EQ(::symlink((dir() / "outside").c_str(), (dir() / "tree/a/link").c_str()), 0);
  ASSERT_EQ(::symlink((dir() / "tree").c_str(), (dir() / "top").c_str()), 0);
  removeTree(dir() / "top");  // the link itself
  EXPECT_TRUE(actool::exists(dir() / "tree/a/b/c"));
  removeTree(dir() / "tree");
  EXPECT_FALSE(actool::exists(dir() / "tree"));
  EXPECT_TRUE(actool::exists(dir() / "outside/precious"));
  removeTree(dir() / "never was");
}

TEST_F(Files, RenameNoReplaceSaysWhetherItDid) {
  makeDirs(dir() / "a");
  makeDirs(dir() / "b");
  EXPECT_FALSE(renameNoReplace(dir() / "a", dir() / "b"));
  EXPECT_TRUE(renameNoReplace(dir() / "a", dir() / "c"));
  EXPECT_THROW(renameNoReplace(dir() / "none", dir() / "d"), SystemError);
}

TEST_F(Files, MakeDirsRefusesAFileInTheWay) {
  writeFilePlain(dir() / "f", "x");
  EXPECT_THROW(makeDirs(dir() / "f"), SystemError);
  EXPECT_THROW(makeDirs(dir() / "f/below"), SystemError);
  makeDirs(dir() / "x/y/z");
  makeDirs(dir() / "x/y/z");
  EXPECT_TRUE(actool::exists(dir() / "x/y/z"));
}

TEST_F(Files, TempDirGoesWithItsOwnerUnlessReleased) {
  Path gone;
  Path kept;
  {
    const TempDir temp(dir());
    gone = temp.path();
    writeFilePlain(gone / "f", "x");
    TempDir other(dir());
    kept = other.release();
  }
  EXPECT_FALSE(actool::exists(gone));
  EXPECT_TRUE(actool::exists(kept));
}

TEST_F(Files, LinesHaveALimitAndTheLastNeedsNoNewline) {
  writeFilePlain(dir() / "lines", "one\n\ntwo");
  std::vector<std::string> lines;
  const UniqueFd fd = openFile((dir() / "lines").string(), O_RDONLY);
  forEachLine(fd.get(), 3, "lines", [&](std::string_view line) { lines.emplace_back(line); });
  EXPECT_EQ(lines, (std::vector<std::string>{"one", "", "two"}));
  const UniqueFd again = openFile((dir() / "lines").string(), O_RDONLY);
  EXPECT_THROW(forEachLine(again.get(), 2, "lines", [](std::string_view) {}), Error);
}

TEST_F(Files, LocksExcludeEachOther) {
  const Path path = dir() / "lock";
  std::optional<FileLock> shared = FileLock::tryAcquire(path, LockMode::shared);
  ASSERT_TRUE(shared);
  EXPECT_TRUE(FileLock::tryAcquire(path, LockMode::shared));
  EXPECT_FALSE(FileLock::tryAcquire(path, LockMode::exclusive));
  try {
    FileLock::acquireFor(path, LockMode::exclusive, std::chrono::milliseconds(30), "the thing");
    FAIL() << "the lock was taken twice";
  } catch (const InUseError& error) {
    EXPECT_STREQ(error.what(),
                 "the thing is locked by another process; wait for it to end and try again");
  }
  std::jthread other([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    shared.reset();
  });
  EXPECT_GE(FileLock::acquire(path, LockMode::exclusive).fd(), 0);
}

TEST_F(Files, DirectoriesCanBeLockedThemselves) {
  const FileLock lock = FileLock::acquire(dir(), LockMode::exclusive);
  EXPECT_FALSE(FileLock::tryAcquire(dir(), LockMode::exclusive));
}

}  // namespace
}  // namespace actool
