// Every way to mount is tried here by itself, as root: which of them a pod's root takes depends on
// the machine. The images are erofs-utils', a witness that is not of this project.
#include "run/erofs_mount.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/process.h"
#include "core/base/strings.h"
#include "run/mounts.h"
#include "run/user_namespace.h"
#include "tests/support/errors.h"

namespace actool::run {
namespace {

using test::messageOf;

schema::ImageId someId() {
  return schema::ImageId::parse("sha512-" + std::string(128, 'a'));
}

class ErofsMount : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) {
      ASSERT_EQ(std::getenv("CI"), nullptr) << "in CI this test has to run, as root";
      GTEST_SKIP() << "mounts";
    }
    make(dir_.path());
  }

  // A metadata image with one extra device, which has the data of its files.
  void make(const Path& dir) {
    makeDirs(dir / "tree/bin");
    writeFilePlain(dir / "tree/text", text_);
    writeFilePlain(dir / "tree/bin/tool", "tool", 0755);
    const CommandResult made =
        runCommand({"sh", "-c",
                    "cd \"$1\" && exec mkfs.erofs --quiet --chunksize=4096 --blobdev=blob erofs "
                    "tree 2>/dev/null",
                    "sh", dir.string()});
    ASSERT_TRUE(made.status.ok()) << "mkfs.erofs " << made.status.describe();
    image_ = {
        dir, dir / "erofs", {{someId(), std::filesystem::file_size(dir / "blob"), dir / "blob"}}};
  }

  std::string textIn(const UniqueFd& mount) const {
    return readAll(openFileAt(mount.get(), "text", O_RDONLY).get(), 1 << 20, "text");
  }

  // The loop devices that have a file of this test.
  std::vector<std::string> loops() const {
    std::vector<std::string> found;
    for (const std::string& name : listDir("/sys/block")) {
      const auto file = tryReadFile(Path("/sys/block") / name / "loop/backing_file", 4096);
      if (file && file->starts_with(dir_.path().string())) found.push_back(name);
    }
    return found;
  }

  // A mount namespace for what a test attaches; this process comes back from it.
  class MountNamespace {
   public:
    MountNamespace() : before_(openFile("/proc/self/ns/mnt", O_RDONLY)) { enterMountNamespace(); }
    ~MountNamespace() { EXPECT_EQ(::setns(before_.get(), CLONE_NEWNS), 0); }
    MountNamespace(const MountNamespace&) = delete;
    MountNamespace& operator=(const MountNamespace&) = delete;

   private:
    UniqueFd before_;
  };

  const TempDir dir_{"/var/tmp"};  // a tmpfs /tmp is another test's
  const std::string text_ = std::string(10'000, 'x') + "end";
  cas::MountableImage image_;
};

TEST_F(ErofsMount, TheKernelReadsTheFiles) {
  const UniqueFd mount = mountErofs(openErofsFiles(image_), ErofsWay::files);
  EXPECT_EQ(textIn(mount), text_);
  struct statfs info {};
  ASSERT_EQ(::fstatfs(mount.get(), &info), 0);
  EXPECT_EQ(info.f_type, EROFS_SUPER_MAGIC_V1);
  EXPECT_EQ(::faccessat(mount.get(), "text", W_OK, 0), -1);
  EXPECT_EQ(errno, EROFS);
  EXPECT_TRUE(loops().empty());
}

TEST_F(ErofsMount, LoopDevicesGoWithTheMount) {
  {
    const UniqueFd mount = mountErofs(openErofsFiles(image_), ErofsWay::loop);
    EXPECT_EQ(textIn(mount), text_);
    EXPECT_EQ(loops().size(), 2U);
  }
  // The kernel frees them after the unmount, in its own time.
  for (int i = 0; i < 200 && !loops().empty(); ++i)
    ::usleep(10'000);
  EXPECT_TRUE(loops().empty());
}

TEST_F(ErofsMount, AppsOfAPodShareTheirImagesMount) {
  const MountNamespace own;
  ImageMount mount(mountErofs(openErofsFiles(image_), ErofsWay::files));
  std::vector<struct stat> seen;
  for (const char* app : {"a", "b", "c"}) {
    const Path target = dir_.path() / app;
    makeDirs(target);
    mount.attach(target);
    EXPECT_EQ(readFile(target / "text", 1 << 20), text_);
    ASSERT_EQ(::stat((target / "text").c_str(), &seen.emplace_back()), 0);
  }
  EXPECT_EQ(seen[1].st_dev, seen[0].st_dev);
  EXPECT_EQ(seen[2].st_dev, seen[0].st_dev);
}

TEST_F(ErofsMount, OwnersAreMappedOnceForAllApps) {
  const MountNamespace own;
  ImageMount mount(mountErofs(openErofsFiles(image_), ErofsWay::files));
  const UniqueFd users = makeUserNamespace({700'000, 65'536});
  for (const char* app : {"a", "b"}) {
    const Path target = dir_.path() / app;
    makeDirs(target);
    ASSERT_TRUE(mount.mapOwners(users.get()));
    mount.attach(target);
    struct stat info {};
    ASSERT_EQ(::stat((target / "text").c_str(), &info), 0);
    EXPECT_EQ(info.st_uid, 700'000U);
  }
}

TEST_F(ErofsMount, WhatWasOpenedIsMounted) {
  const ErofsFiles files = openErofsFiles(image_);
  writeFilePlain(dir_.path() / "other", "forged");
  ASSERT_EQ(::rename((dir_.path() / "other").c_str(), image_.metadata.c_str()), 0);
  ASSERT_EQ(::unlink(image_.devices.at(0).tar.c_str()), 0);
  EXPECT_EQ(textIn(mountErofs(files, ErofsWay::files)), text_);
  EXPECT_EQ(textIn(mountErofs(files, ErofsWay::loop)), text_);
}

TEST_F(ErofsMount, WhereTheKernelTakesNoFilesLoopDevicesDo) {
  const TempDir memory("/dev/shm");
  make(memory.path());
  const ErofsFiles files = openErofsFiles(image_);
  // Block device required: a tmpfs has none below it.
  EXPECT_THAT(messageOf([&] { mountErofs(files, ErofsWay::files); }),
              testing::HasSubstr("Block device required"));
  log::setDebug(true);
  testing::internal::CaptureStderr();
  EXPECT_EQ(textIn(tryMountErofs(files, "image a")), text_);
  log::setDebug(false);
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              testing::AllOf(testing::HasSubstr(
                                 "image a is mounted by loop devices; not by files: mounting: "),
                             testing::EndsWith("\n")));
}

TEST_F(ErofsMount, NoMountOfWhatIsNoFileSystem) {
  writeFilePlain(image_.metadata, std::string(8192, 'x'));
  log::setDebug(true);
  testing::internal::CaptureStderr();
  EXPECT_FALSE(tryMountErofs(openErofsFiles(image_), "image a"));
  log::setDebug(false);
  const std::string said = testing::internal::GetCapturedStderr();
  for (const char* part : {"image a can't be mounted, its tree is unpacked; not by files: ",
                           "; not by loop devices: ", "; not by erofsfuse: "}) {
    EXPECT_THAT(said, testing::HasSubstr(part));
  }
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1);
}

// Debian 12 has no erofsfuse; where there is one that can do it, it has to.
TEST_F(ErofsMount, ErofsfuseEndsWithTheMount) {
  const auto serving = [&] {
    const CommandResult found = runCommand({"sh", "-c", "pgrep -xc erofsfuse || true"});
    return parseUint(trim(found.out)).value();
  };
  const std::uint64_t before = serving();
  try {
    const UniqueFd mount = mountErofs(openErofsFiles(image_), ErofsWay::fuse);
    EXPECT_EQ(textIn(mount), text_);
    EXPECT_EQ(serving(), before + 1);
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "there is no erofsfuse that knows --device");
  }
  for (int i = 0; i < 200 && serving() != before; ++i)
    ::usleep(10'000);
  EXPECT_EQ(serving(), before);
}

TEST_F(ErofsMount, AnErofsfuseThatKnowsNoDevicesIsLeftAlone) {
  writeFilePlain(dir_.path() / "erofsfuse",
                 "#!/bin/sh\necho 'usage: erofsfuse [options] IMAGE MOUNTPOINT' >&2\n", 0755);
  const std::string path = std::getenv("PATH");
  ::setenv("PATH", (dir_.path().string() + ":" + path).c_str(), 1);
  EXPECT_EQ(messageOf([&] { mountErofs(openErofsFiles(image_), ErofsWay::fuse); }),
            "there is no erofsfuse that knows --device");
  ::setenv("PATH", path.c_str(), 1);
}

TEST_F(ErofsMount, FilesThatAreNotWhatTheMetadataWasMadeFor) {
  image_.devices.at(0).size += 512;
  const std::string tar = image_.devices.at(0).tar.string();
  EXPECT_EQ(messageOf<TrustError>([&] { openErofsFiles(image_); }),
            tar + " has " + std::to_string(image_.devices.at(0).size - 512) + " bytes, not " +
                std::to_string(image_.devices.at(0).size) +
                "; run 'actool image fsck --repair', or remove the image and fetch it again");
  ASSERT_EQ(::unlink(tar.c_str()), 0);
  EXPECT_EQ(
      messageOf([&] { openErofsFiles(image_); }),
      tar + " is missing; fetch the image again if it was removed; else see 'actool image fsck'");
  ASSERT_EQ(::symlink("/etc/passwd", tar.c_str()), 0);
  EXPECT_THROW(openErofsFiles(image_), SystemError);
  ASSERT_EQ(::unlink(tar.c_str()), 0);
  makeDirs(tar);
  EXPECT_EQ(messageOf([&] { openErofsFiles(image_); }), tar + " is not a regular file");
}

}  // namespace
}  // namespace actool::run
