#include "cas/aci_check.h"

#include <gtest/gtest.h>

#include "tests/unit/cas/aci_test_support.h"

namespace actool::cas {
namespace {

AciSummary check(const std::string& tar, const AciLimits& limits = {}, std::size_t step = 1000) {
  StringSource source(tar, step);
  return checkAci(source, limits);
}

std::string checkRefusal(const std::string& tar, const AciLimits& limits = {}) {
  try {
    check(tar, limits);
  } catch (const TrustError& error) {
    return error.what();
  }
  return "";
}

TEST(AciCheck, TakesAnImageAndCountsIt) {
  const std::string tar =
      image(dir("rootfs/bin") + file("rootfs/bin/a", std::string(700, 'a')) +
            hardlink("rootfs/bin/b", "rootfs/bin/a") + symlink("rootfs/sh", "/bin/a") +
            RawEntry{.name = "rootfs/null", .type = '3'}.str() +
            RawEntry{.name = "rootfs/fifo", .type = '6'}.str());
  for (std::size_t step : {1, 511, 512, 513, 100'000}) {
    const AciSummary summary = check(tar, {}, step);
    EXPECT_EQ(summary.manifest.name.str(), "example.com/web");
    EXPECT_EQ(summary.manifestBytes, kManifest);
    EXPECT_EQ(summary.entries, 8);
    EXPECT_EQ(summary.files, 1);
    EXPECT_EQ(summary.contentBytes, 700);
    EXPECT_EQ(summary.tarBytes, tar.size());
  }
}

TEST(AciCheck, TakesAnyOrderAndDotsInFront) {
  check(dir("./") + dir("./rootfs/") + file("./rootfs/a") + file("./manifest", kManifest) +
        kTarEnd);
}

TEST(AciCheck, TakesDirectoriesAfterWhatIsInThem) {
  check(image(file("rootfs/a/b/c") + dir("rootfs/a/b") + dir("rootfs/a")));
}

TEST(AciCheck, TakesLinksToLinks) {
  check(image(symlink("rootfs/a", "/etc") + hardlink("rootfs/b", "rootfs/a") +
              hardlink("rootfs/c", "rootfs/b")));
}

TEST(AciCheck, RefusesWhatIsNoImage) {
  EXPECT_EQ(checkRefusal(dir("rootfs") + kTarEnd), "the archive has no manifest");
  EXPECT_EQ(checkRefusal(file("manifest", kManifest) + kTarEnd),
            "the archive has no entry for the directory \"rootfs\"");
  EXPECT_EQ(checkRefusal(file("manifest", kManifest) + file("rootfs/a") + kTarEnd),
            "the archive has no entry for the directory \"rootfs\"");
  EXPECT_EQ(checkRefusal(file("manifest", kManifest) + file("rootfs") + kTarEnd),
            "entry \"rootfs\": it is a regular file where a directory belongs");
  EXPECT_EQ(checkRefusal(file("manifest", kManifest) + symlink("rootfs", "/") + kTarEnd),
            "entry \"rootfs\": it is a symbolic link where a directory belongs");
  EXPECT_EQ(checkRefusal(image(file("extra"))),
            "entry \"extra\": only \"manifest\" and \"rootfs\" belong at the top of an image");
  EXPECT_EQ(checkRefusal(image(file("rootfsx/a"))),
            "entry \"rootfsx/a\": only \"manifest\" and \"rootfs\" belong at the top of an image");
  EXPECT_EQ(checkRefusal(image(file("manifest/a"))),
            "entry \"manifest/a\": only \"manifest\" and \"rootfs\" belong at the top of an image");
}

TEST(AciCheck, RefusesManifestsThatAreNone) {
  EXPECT_EQ(checkRefusal(image(file("manifest", kManifest))),
            "entry \"manifest\": a second manifest");
  EXPECT_EQ(checkRefusal(image(file("./manifest", kManifest))),
            "entry \"./manifest\": a second manifest");
  EXPECT_EQ(checkRefusal(dir("rootfs") + symlink("manifest", "rootfs/m") + kTarEnd),
            "entry \"manifest\": the manifest must be a plain regular file");
  EXPECT_EQ(checkRefusal(dir("rootfs") + file("rootfs/m", kManifest) +
                         hardlink("manifest", "rootfs/m") + kTarEnd),
            "entry \"manifest\": the manifest must be a plain regular file");
  EXPECT_EQ(checkRefusal(dir("rootfs") + file("manifest", "") + kTarEnd),
            "entry \"manifest\": the manifest is empty");
  EXPECT_NE(checkRefusal(dir("rootfs") + file("manifest", "{}") + kTarEnd), "");
}

TEST(AciCheck, RefusesAHugeManifestWithoutReadingIt) {
  // The header alone says 100 MB: nothing more is asked of the source.
  RawEntry huge{.name = "manifest"};
  huge.fields = {{124, "00575360400"}};
  EXPECT_EQ(checkRefusal(huge.str()),
            "entry \"manifest\": a manifest of 100000000 bytes; 1048576 is the limit");
}

TEST(AciCheck, RefusesPathsThatLeadElsewhere) {
  EXPECT_EQ(checkRefusal(image(file("/rootfs/a"))), "entry \"/rootfs/a\": the path is absolute");
  EXPECT_EQ(checkRefusal(image(file("rootfs/../a"))),
            "entry \"rootfs/../a\": the path has a component \"..\"");
  EXPECT_EQ(checkRefusal(image(file(".."))), "entry \"..\": the path has a component \"..\"");
  EXPECT_EQ(checkRefusal(image(file("rootfs//a"))),
            "entry \"rootfs//a\": the path has an empty component");
  EXPECT_EQ(checkRefusal(image(file("rootfs/./a"))),
            "entry \"rootfs/./a\": the path has a component \".\" inside");
  EXPECT_EQ(checkRefusal(image(file("././rootfs/a"))),
            "entry \"././rootfs/a\": the path has a component \".\" inside");
  EXPECT_EQ(checkRefusal(image(pax(paxRecord("path", std::string("rootfs/a\0b", 10))) + file("x"))),
            "entry \"rootfs/a\\x00b\": the name has a NUL in it");
}

TEST(AciCheck, RefusesDuplicates) {
  EXPECT_EQ(checkRefusal(image(file("rootfs/a") + file("rootfs/a"))),
            "entry \"rootfs/a\": a second entry of this name");
  EXPECT_EQ(checkRefusal(image(dir("rootfs/a") + dir("rootfs/a/"))),
            "entry \"rootfs/a/\": a second entry of this name");
  EXPECT_EQ(checkRefusal(image(file("rootfs/a") + file("./rootfs/a"))),
            "entry \"./rootfs/a\": a second entry of this name");
  EXPECT_EQ(checkRefusal(image(dir("./rootfs"))),
            "entry \"./rootfs\": a second entry of this name");
  EXPECT_EQ(checkRefusal(dir("./") + dir("./") + kTarEnd),
            "entry \"./\": a second entry of this name");
}

TEST(AciCheck, RefusesWhatPassesThroughLinksAndFiles) {
  EXPECT_EQ(checkRefusal(image(symlink("rootfs/a", "/etc") + file("rootfs/a/passwd"))),
            "entry \"rootfs/a/passwd\": it passes through the symbolic link \"rootfs/a\"");
  EXPECT_EQ(checkRefusal(image(symlink("rootfs/a", "/etc") + hardlink("rootfs/b", "rootfs/a") +
                               file("rootfs/b/c/passwd"))),
            "entry \"rootfs/b/c/passwd\": it passes through the symbolic link \"rootfs/b\"");
  EXPECT_EQ(checkRefusal(image(file("rootfs/a") + file("rootfs/a/b"))),
            "entry \"rootfs/a/b\": it lies below \"rootfs/a\", which is no directory");
  EXPECT_EQ(checkRefusal(image(file("rootfs/a/b") + symlink("rootfs/a", "/etc"))),
            "entry \"rootfs/a\": it is a symbolic link, but entries before it lie below it as a "
            "directory");
}

TEST(AciCheck, RefusesHardLinksOutOfTheTree) {
  EXPECT_EQ(checkRefusal(image(hardlink("rootfs/a", "/etc/shadow"))),
            "entry \"rootfs/a\": its target: the path is absolute");
  EXPECT_EQ(checkRefusal(image(hardlink("rootfs/a", "rootfs/../../etc/shadow"))),
            "entry \"rootfs/a\": its target: the path has a component \"..\"");
  EXPECT_EQ(checkRefusal(image(hardlink("rootfs/a", "manifest"))),
            "entry \"rootfs/a\": a hard link to \"manifest\", outside of rootfs");
  EXPECT_EQ(checkRefusal(image(hardlink("rootfs/a", "rootfs/b") + file("rootfs/b"))),
            "entry \"rootfs/a\": a hard link to \"rootfs/b\", which is no earlier entry");
  EXPECT_EQ(checkRefusal(image(hardlink("rootfs/a", "rootfs/a"))),
            "entry \"rootfs/a\": a hard link to \"rootfs/a\", which is no earlier entry");
  EXPECT_EQ(checkRefusal(image(dir("rootfs/d") + hardlink("rootfs/a", "rootfs/d"))),
            "entry \"rootfs/a\": a hard link to the directory \"rootfs/d\"");
}

TEST(AciCheck, RefusesWhatIsOverTheLimits) {
  AciLimits limits;
  limits.entries = 3;
  limits.depth = 4;
  limits.component = 10;
  EXPECT_EQ(checkRefusal(image(file("rootfs/a") + file("rootfs/b") + file("rootfs/c")), limits),
            "entry \"rootfs/c\": more than 3 paths in the archive");
  // Directories that no entry names count as well.
  EXPECT_EQ(checkRefusal(image(file("rootfs/a/b/c")), limits),
            "entry \"rootfs/a/b/c\": more than 3 paths in the archive");
  EXPECT_EQ(checkRefusal(image(file("rootfs/a/b/c/d")), limits),
            "entry \"rootfs/a/b/c/d\": the path has more than 4 components");
  EXPECT_EQ(checkRefusal(image(file("rootfs/12345678901")), limits),
            "entry \"rootfs/12345678901\": a component of the path has more than 10 bytes");
}

TEST(AciCheck, RefusesAttributesThatLeadTheKernelAstray) {
  EXPECT_EQ(checkRefusal(image(pax(paxRecord("SCHILY.xattr.trusted.overlay.redirect", "/etc")) +
                               dir("rootfs/a"))),
            "entry \"rootfs/a\": the extended attribute \"trusted.overlay.redirect\" is "
            "overlayfs's own and would lead it astray");
  EXPECT_EQ(checkRefusal(image(pax(paxRecord("SCHILY.xattr.user.a", std::string(65537, 'a'))) +
                               dir("rootfs/a"))),
            "entry \"rootfs/a\": the extended attribute \"user.a\" is longer than any can be");
  EXPECT_EQ(checkRefusal(image(pax(paxRecord("SCHILY.acl.access", "nonsense")) + dir("rootfs/a"))),
            "entry \"rootfs/a\": the ACL entry \"nonsense\" is none");
}

TEST(AciCheck, RefusesTruncatedAndPaddedArchives) {
  const std::string tar = image(file("rootfs/a", std::string(600, 'a')));
  EXPECT_EQ(checkRefusal(tar.substr(0, tar.size() - 1024)),
            "tar header at byte " + std::to_string(tar.size() - 1024) +
                ": the archive is truncated: it has no end-of-archive marker");
  EXPECT_EQ(checkRefusal(tar.substr(0, tar.size() - 1024 - 600)),
            "entry \"rootfs/a\": the archive is truncated");
  EXPECT_EQ(checkRefusal(tar + "x"),
            "there is something other than zeros after the end-of-archive marker");
  EXPECT_EQ(checkRefusal(tar + std::string(5000, '\0') + file("rootfs/late")),
            "there is something other than zeros after the end-of-archive marker");
  check(tar + std::string(9000, '\0'));
  EXPECT_NE(checkRefusal(""), "");
}

}  // namespace
}  // namespace actool::cas
