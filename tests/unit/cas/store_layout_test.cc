#include <gtest/gtest.h>
#include <unistd.h>

#include "cas/layout.h"
#include "core/base/error.h"
#include "tests/support/errors.h"

namespace actool::cas {
namespace {

using test::messageOf;

schema::ImageId idOf(const std::string& beginning) {
  std::string hex = beginning;
  hex.resize(128, '0');
  return schema::ImageId::parse("sha512-" + hex);
}

TEST(StoreLayout, NamesFiles) {
  const StoreLayout layout("/s");
  const auto id = idOf("ab12");
  EXPECT_EQ(layout.imageDir(id), Path("/s/images/ab") / id.str());
  EXPECT_EQ(layout.tarBlob(id), Path("/s/blobs/sha512/ab") / id.hex());
  EXPECT_EQ(layout.blob(digestOf(DigestAlgorithm::sha256, "")),
            "/s/blobs/sha256/e3/e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(layout.treeLink(id), layout.imageDir(id) / "tree");
}

class StoreReaderTest : public testing::Test {
 protected:
  void addImage(const schema::ImageId& id) {
    makeDirs(layout_.imageDir(id));
    writeFilePlain(layout_.manifestFile(id),
                   R"({"acKind":"ImageManifest","acVersion":"0.8.11","name":"example.com/a"})");
  }

  TempDir dir_{tempRoot()};
  StoreLayout layout_{dir_.path()};
};

TEST_F(StoreReaderTest, NoStoreIsAnEmptyOne) {
  const StoreReader reader(StoreLayout(dir_.path() / "missing"));
  EXPECT_FALSE(reader.has(idOf("ab")));
  EXPECT_TRUE(reader.ids().empty());
}

TEST_F(StoreReaderTest, AnotherVersionIsRefused) {
  writeFilePlain(layout_.versionFile(), "actool-store 9\n");
  EXPECT_EQ(messageOf([&] { StoreReader reader(layout_); }),
            layout_.versionFile().string() +
                ": unknown store version 'actool-store 9'; use the release of actool that made "
                "it, or another --dir");
}

TEST_F(StoreReaderTest, OlderVersionsAreRead) {
  EXPECT_EQ(StoreReader(layout_).version(), std::nullopt);
  for (const int version : {1, 2}) {
    writeFilePlain(layout_.versionFile(), formatVersion(version));
    EXPECT_EQ(StoreReader(layout_).version(), version);
  }
  for (const char* text : {"", "actool-store 2", "actool-store 02\n", "actool-store 0\n", "2\n"}) {
    writeFilePlain(layout_.versionFile(), text);
    EXPECT_NE(messageOf([&] { StoreReader reader(layout_); }), "(no error)") << text;
  }
}

TEST_F(StoreReaderTest, ResolvesPrefixes) {
  for (const char* beginning : {"ab12", "ab34", "cd00"})
    addImage(idOf(beginning));
  const StoreReader reader(layout_);
  const auto resolve = [&](const char* text) {
    return reader.resolve(*schema::ImageIdPrefix::tryParse(text));
  };
  EXPECT_EQ(resolve("sha512-cd"), idOf("cd00"));
  EXPECT_EQ(resolve("sha512-ab1"), idOf("ab12"));
  EXPECT_EQ(resolve(idOf("ab34").str().c_str()), idOf("ab34"));
  EXPECT_EQ(
      messageOf<NotFoundError>([&] { resolve("sha512-ab9"); }),
      "no image sha512-ab9 in the store " + dir_.path().string() + "; see 'actool image list'");
  EXPECT_EQ(messageOf<UsageError>([&] { resolve("sha512-ab"); }),
            "sha512-ab begins the IDs of 2 images: sha512-ab12000000, sha512-ab34000000; give "
            "more digits");
}

TEST_F(StoreReaderTest, StrangersInTheImagesDirectoryAreNoImages) {
  addImage(idOf("ab12"));
  makeDirs(layout_.imagesDir() / "ab/lost+found");
  EXPECT_EQ(StoreReader(layout_).ids(), std::vector{idOf("ab12")});
}

TEST_F(StoreReaderTest, ReadsManifests) {
  addImage(idOf("ab12"));
  const StoreReader reader(layout_);
  EXPECT_EQ(reader.manifest(idOf("ab12")).name.str(), "example.com/a");
  EXPECT_EQ(messageOf<NotFoundError>([&] { reader.manifestBytes(idOf("ff")); }),
            "no image sha512-ff0000000000 in the store " + dir_.path().string() +
                "; see 'actool image list'");
}

TEST_F(StoreReaderTest, ATreeIsThereOnceItsLinkAndItAre) {
  const auto id = idOf("ab12");
  addImage(id);
  const StoreReader reader(layout_);
  EXPECT_EQ(reader.renderedRoot(id), std::nullopt);
  // Whatever a link says, only its last component counts.
  ASSERT_EQ(::symlink("../../../../../../etc/key1", layout_.treeLink(id).c_str()), 0);
  EXPECT_EQ(reader.renderedRoot(id), std::nullopt);
  makeDirs(layout_.treeDir("key1") / "rootfs");
  EXPECT_EQ(reader.renderedRoot(id), layout_.treeDir("key1") / "rootfs");
}

TEST_F(StoreReaderTest, AMountableImageNeedsItsLinkAndBothFiles) {
  const auto id = idOf("ab12");
  addImage(id);
  const StoreReader reader(layout_);
  EXPECT_FALSE(reader.mountable(id));
  ASSERT_EQ(::symlink("../../../trees/key1", layout_.treeLink(id).c_str()), 0);
  makeDirs(layout_.treeDir("key1"));
  EXPECT_FALSE(reader.mountable(id));
  writeFilePlain(layout_.erofsFile("key1"), "metadata");
  EXPECT_FALSE(reader.mountable(id));
  const auto below = idOf("cd");
  writeFilePlain(layout_.devicesFile("key1"), below.str() + " 10240\n" + id.str() + " 512\n");
  const auto image = reader.mountable(id);
  ASSERT_TRUE(image);
  EXPECT_EQ(image->tree, layout_.treeDir("key1"));
  EXPECT_EQ(image->metadata, layout_.treeDir("key1") / "erofs");
  ASSERT_EQ(image->devices.size(), 2u);
  EXPECT_EQ(image->devices[0].image, below);
  EXPECT_EQ(image->devices[0].size, 10240u);
  EXPECT_EQ(image->devices[0].tar, layout_.tarBlob(below));
  EXPECT_EQ(image->devices[1].image, id);
  EXPECT_EQ(formatDevices(image->devices), readFile(layout_.devicesFile("key1"), 1024));
  // The other form of the tree is not there.
  EXPECT_FALSE(reader.renderedRoot(id));
}

TEST_F(StoreReaderTest, DevicesThatSayAnythingElseAreRefused) {
  const std::string id = idOf("ab").str();
  const std::vector<std::string> refused{
      "",           id + " 512",    id + "\n",       id + " \n",        id + "  512\n",
      id + " -1\n", id + " 512 \n", id + " 512\n\n", "sha512-ab 512\n", " 512\n"};
  for (const std::string& text : refused) {
    EXPECT_THROW(parseDevices(layout_, text, "devices"), Error) << text;
  }
  EXPECT_EQ(messageOf([&] { parseDevices(layout_, "x y\n", "/s/devices"); }),
            "/s/devices: 'x y' is not an image ID and a size; remove it and render again");
}

TEST_F(StoreReaderTest, NotesUse) {
  const auto id = idOf("ab12");
  addImage(id);
  const StoreReader reader(layout_);
  EXPECT_EQ(reader.lastUsed(id), std::nullopt);
  reader.noteUse(id);
  ASSERT_TRUE(reader.lastUsed(id).has_value());
  EXPECT_LT(std::chrono::system_clock::now() - *reader.lastUsed(id), std::chrono::minutes(1));
  reader.noteUse(idOf("ff"));  // not there: nothing happens
  EXPECT_FALSE(reader.has(idOf("ff")));
}

}  // namespace
}  // namespace actool::cas
