#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/fs.h"
#include "run/native/users.h"
#include "tests/unit/run/native_test_support.h"

namespace actool::run::native {
namespace {

constexpr std::string_view kPasswd =
    "root:x:0:0:root:/root:/bin/sh\n"
    "# a comment\n"
    "short:x:7\n"
    "bad:x:-1:5::/:/bin/sh\n"
    "huge:x:4294967295:5::/:/bin/sh\n"
    "web:x:1000:1001:web:/srv:/bin/sh\n"
    "web:x:2000:2001:again:/:/bin/sh\n"
    "12:x:3000:3001::/:/bin/sh\n";

TEST(Passwd, FirstGoodEntryCounts) {
  EXPECT_EQ(findUser(kPasswd, "web")->uid, 1000U);
  EXPECT_EQ(findUser(kPasswd, uid_t{1000})->name, "web");
  EXPECT_EQ(findUser(kPasswd, uid_t{1000})->home, "/srv");
  EXPECT_FALSE(findUser(kPasswd, "short"));
  EXPECT_FALSE(findUser(kPasswd, "bad"));
  EXPECT_FALSE(findUser(kPasswd, "huge"));
  EXPECT_FALSE(findUser(kPasswd, ""));
}

TEST(Group, FirstGoodEntryCounts) {
  EXPECT_EQ(findGroup("a:x:1:\nb:x:y:\nb:x:2:web\n", "b"), 2U);
  EXPECT_FALSE(findGroup("a:x:1:\n", "c"));
  EXPECT_FALSE(findGroup(":x:1:\n", ""));
}

class Resolve : public testing::Test {
 protected:
  void SetUp() override {
    makeDirs(dir_.path() / "etc");
    writeFilePlain(dir_.path() / "etc/passwd", kPasswd);
    writeFilePlain(dir_.path() / "etc/group", "web:x:1001:\n");
    root_ = openFile(dir_.path(), O_PATH | O_DIRECTORY);
  }
  Identity resolve(std::string_view user, std::string_view group) const {
    return resolveIdentity(root_.get(), user, group);
  }
  TempDir dir_{tempRoot()};
  UniqueFd root_;
};

TEST_F(Resolve, NamesComeFromTheImage) {
  const Identity identity = resolve("web", "web");
  EXPECT_EQ(identity.uid, 1000U);
  EXPECT_EQ(identity.gid, 1001U);
  EXPECT_EQ(identity.name, "web");
  EXPECT_EQ(identity.home, "/srv");
}

TEST_F(Resolve, NumbersAreNamesFirst) {
  EXPECT_EQ(resolve("12", "12").uid, 3000U);
  EXPECT_EQ(resolve("12", "12").gid, 12U);
  EXPECT_EQ(resolve("1000", "5").name, "web");
}

TEST_F(Resolve, PathsStandForTheirOwners) {
  const Path file = dir_.path() / "prog";
  writeFilePlain(file, "");
  ASSERT_EQ(::symlink("/prog", (dir_.path() / "link").c_str()), 0);
  if (::geteuid() == 0) {
    ASSERT_EQ(::chown(file.c_str(), 77, 88), 0);
    EXPECT_EQ(resolve("/prog", "/link").uid, 77U);
    EXPECT_EQ(resolve("/prog", "/link").gid, 88U);
  }
  EXPECT_EQ(messageOf([&] { resolve("/none", "0"); }),
            "user \"/none\" is no file of the image whose owner could be taken");
}

TEST_F(Resolve, UnknownNamesAreRefused) {
  EXPECT_EQ(messageOf([&] { resolve("nobody", "0"); }),
            "user \"nobody\" is not in the image's /etc/passwd; give a number or another user with "
            "--user");
  EXPECT_EQ(messageOf([&] { resolve("0", "4294967295"); }),
            "group \"4294967295\" is not in the image's /etc/group; give a number or another group "
            "with --group");
  EXPECT_EQ(
      messageOf([&] { resolve("", "0"); }),
      "user \"\" is not in the image's /etc/passwd; give a number or another user with --user");
}

TEST_F(Resolve, StrangeDatabasesAreNoDatabases) {
  const Path passwd = dir_.path() / "etc/passwd";
  ASSERT_EQ(::unlink(passwd.c_str()), 0);
  EXPECT_EQ(resolve("5", "6").uid, 5U);
  ASSERT_EQ(::mkfifo(passwd.c_str(), 0600), 0);  // must not wait for a writer
  EXPECT_EQ(resolve("5", "6").uid, 5U);
  ASSERT_EQ(::unlink(passwd.c_str()), 0);
  ASSERT_EQ(::symlink("/etc/../../../../etc/passwd", passwd.c_str()), 0);  // itself, in the root
  EXPECT_EQ(resolve("5", "6").name, "");
}

}  // namespace
}  // namespace actool::run::native
