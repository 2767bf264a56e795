#include "cas/layout/stamp.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "core/base/error.h"

namespace actool::cas {
namespace {

using std::chrono::hours;
using std::chrono::system_clock;

class StampTest : public testing::Test {
 protected:
  void SetUp() override { writeFilePlain(file(), "content"); }
  Path file() const { return dir_.path() / "file"; }
  Path stamps() const { return dir_.path() / "verified"; }
  bool stamped() const {
    return isStamped(readStamps(stamps()), kTarStamp, lookOf(file()), system_clock::now(),
                     hours(1));
  }
  void stamp() const {
    writeStamps(stamps(),
                {makeStamp("other", {}), makeStamp(std::string(kTarStamp), lookOf(file()))});
  }

  TempDir dir_{tempRoot()};
};

TEST_F(StampTest, IsReadAsItWasWritten) {
  EXPECT_FALSE(stamped());
  stamp();
  EXPECT_TRUE(stamped());
  EXPECT_EQ(readStamps(stamps()).size(), 2U);
  EXPECT_EQ(listDir(dir_.path()), (std::vector<std::string>{"file", "verified"}));
}

TEST_F(StampTest, WhateverHappensToTheFileShows) {
  stamp();
  ASSERT_EQ(::chmod(file().c_str(), 0600), 0);  // the least there is: only the time of change
  EXPECT_FALSE(stamped());
  stamp();
  writeFilePlain(dir_.path() / "new", "content");
  ASSERT_EQ(::rename((dir_.path() / "new").c_str(), file().c_str()), 0);
  EXPECT_FALSE(stamped());
}

TEST_F(StampTest, EveryMemberCounts) {
  const FileLook look{1, 2, 3, 4, 5};
  const std::vector<Stamp> stamps{{"tar", look, 1000}};
  const auto at = [](std::int64_t seconds) { return system_clock::time_point(Seconds(seconds)); };
  const auto good = [&](const FileLook& other) {
    return isStamped(stamps, "tar", other, at(1000), Seconds(10));
  };
  EXPECT_TRUE(good(look));
  for (const FileLook& other :
       {FileLook{9, 2, 3, 4, 5}, FileLook{1, 9, 3, 4, 5}, FileLook{1, 2, 9, 4, 5},
        FileLook{1, 2, 3, 9, 5}, FileLook{1, 2, 3, 4, 9}}) {
    EXPECT_FALSE(good(other));
  }
  EXPECT_FALSE(isStamped(stamps, "erofs", look, at(1000), Seconds(10)));
  EXPECT_TRUE(isStamped(stamps, "tar", look, at(1009), Seconds(10)));
  EXPECT_FALSE(isStamped(stamps, "tar", look, at(1010), Seconds(10)));
  EXPECT_FALSE(isStamped(stamps, "tar", look, at(999), Seconds(10)));  // the clock was set back
}

TEST_F(StampTest, WhateverHappensToATreeShows) {
  const Path tree = dir_.path() / "tree";
  makeDirs(tree / "a/b");
  writeFilePlain(tree / "a/b/file", "content");
  writeFilePlain(tree / "other", "content");
  ASSERT_EQ(::symlink("a", (tree / "link").c_str()), 0);
  FileLook last = lookOfTree(tree);
  EXPECT_EQ(last.size, 5U);  // names
  EXPECT_EQ(lookOfTree(tree), last);
  const auto changed = [&] {
    const FileLook now = lookOfTree(tree);
    return std::exchange(last, now) != now;
  };
  ASSERT_EQ(::chmod((tree / "a/b/file").c_str(), 0600), 0);
  EXPECT_TRUE(changed());
  ASSERT_EQ(::chmod(tree.c_str(), 0700), 0);
  EXPECT_TRUE(changed());
  // A bit, with the time of modification put back.
  const timespec past[2] = {{1, 0}, {1, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, (tree / "other").c_str(), past, 0), 0);
  EXPECT_TRUE(changed());
  writeFilePlain(tree / "other", "Content");
  ASSERT_EQ(::utimensat(AT_FDCWD, (tree / "other").c_str(), past, 0), 0);
  EXPECT_TRUE(changed());
  ASSERT_EQ(::unlink((tree / "link").c_str()), 0);
  EXPECT_TRUE(changed());
  EXPECT_FALSE(changed());
  EXPECT_THROW(lookOfTree(dir_.path() / "none"), Error);
}

TEST_F(StampTest, AddedStampsLeaveTheOthers) {
  stamp();
  addStamps(stamps(),
            {makeStamp(std::string(kTreeStamp), {1, 2, 3, 4, 5}), makeStamp("other", {7})});
  EXPECT_EQ(readStamps(stamps()).size(), 3U);
  EXPECT_TRUE(stamped());
}

TEST_F(StampTest, WhatIsNoStampIsNone) {
  for (const char* text :
       {"", "actool-verified 2\n1 2 3 4 5 6 tar\n", "actool-verified 1\n",
        "actool-verified 1\n1 2 3 4 5 6 tar", "actool-verified 1\n1 2 3 4 5 tar\n",
        "actool-verified 1\n1 2 3 4 5 -6 tar\n", "actool-verified 1\n1 2 3 4 5 6 7 tar\n"}) {
    writeFilePlain(stamps(), text);
    EXPECT_TRUE(readStamps(stamps()).empty()) << text;
  }
}

}  // namespace
}  // namespace actool::cas
