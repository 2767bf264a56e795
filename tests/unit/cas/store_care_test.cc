// Removing, garbage collection, repair, verification, and what a crash leaves.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>

#include "cas/care.h"
#include "cas/ingest_slot.h"
#include "cas/render_store.h"
#include "cas/tree_care.h"
#include "tests/unit/cas/store_test_support.h"

namespace actool::cas {
namespace {

using namespace std::chrono_literals;
using test::messageOf;

class LaterClock : public Clock {
 public:
  explicit LaterClock(std::chrono::seconds later) : later_(later) {}
  std::chrono::system_clock::time_point now() const override {
    return systemClock().now() + later_;
  }

 private:
  std::chrono::seconds later_;
};

class CareTest : public StoreTest {
 protected:
  GcReport gc(std::chrono::seconds later = 0s, bool dropDistributed = false) {
    const LaterClock clock(later);
    return collectGarbage(layout_, {.grace = 1h, .dropDistributed = dropDistributed}, clock);
  }
  void remove(const schema::ImageId& id) { StoreWriter(layout_).remove(id); }

  std::string tar_ = imageTar("example.com/web", {"version=1.0.0"});
  std::string packed_ = compress("gzip", tar_);
  schema::ImageId id_ = idOfTar(tar_);
};

TEST_F(CareTest, RemovingTakesTheBlobsAlong) {
  IngestRequest request = signedRequest(packed_);
  request.source = "https://example.com/web.aci";
  const StoredImage image = ingest(request, packed_);
  remove(id_);
  EXPECT_EQ(listed(), std::vector<schema::ImageId>{});
  EXPECT_FALSE(actool::exists(layout_.imageDir(id_)));
  EXPECT_FALSE(actool::exists(layout_.tarBlob(id_)));
  EXPECT_FALSE(actool::exists(layout_.blob(image.distributed.digest)));
  openIndexForReading(layout_.indexDir())->forEach("", [](std::string_view key, std::string_view) {
    if (key != kFormatKey) ADD_FAILURE() << key << " is left";
    return true;
  });
}

TEST_F(CareTest, ABrokenImageCanBeRemoved) {
  ingestSigned(packed_);
  writeFilePlain(layout_.imageFile(id_), "garbage");
  remove(id_);
  EXPECT_EQ(checkStore(layout_).images, 0U);
}

TEST_F(CareTest, UsersAreNamed) {
  ingestSigned(packed_);
  const std::string dependent =
      imageTar("example.com/app", {}, "x",
               {{"dependencies", Json::array({{{"imageName", "example.com/web"}}})}});
  const auto other = ingestSigned(dependent).id;
  const Path pod = layout_.podsDir() / "run/6733c088-a507-4694-aabf-eda6cb99b5c4";
  makeDirs(pod);
  writeFilePlain(pod / "pod",
                 R"({"acKind":"PodManifest","acVersion":"0.8.11","apps":[{"name":"web",)"
                 R"("image":{"id":")" +
                     id_.str() + R"("}}]})");
  StoreWriter writer(layout_);
  EXPECT_EQ(usersOf(writer, id_),
            (std::vector<std::string>{
                "pod 6733c088-a507-4694-aabf-eda6cb99b5c4",
                "example.com/app (" + other.shortForm() + "), which depends on it"}));
  EXPECT_TRUE(usersOf(writer, other).empty());
}

TEST_F(CareTest, GcLeavesImagesAndWhatIsYoung) {
  ingestSigned(packed_);
  EXPECT_THROW(ingest(signedRequest(tar_), tar_.substr(0, 100)), Error);
  makeDirs(layout_.tmpDir() / "left");
  makeDirs(layout_.dir() / "blobs/sha256/ab");
  writeFilePlain(layout_.dir() / "blobs/sha256/ab/stray", "stray");
  GcReport report = gc();
  EXPECT_EQ(report.scratch, 1U);
  EXPECT_EQ(report.blobs, 0U);
  report = gc(2h);
  EXPECT_EQ(report.blobs, 1U);
  EXPECT_EQ(report.bytes, 5U);
  EXPECT_EQ(listed(), std::vector{id_});
  EXPECT_EQ(readWhole(layout_, id_).id, id_);
}

TEST_F(CareTest, GcRemovesOldTransfersButNoneThatRuns) {
  IngestRequest request = signedRequest(packed_);
  EXPECT_THROW(ingest(request, packed_.substr(0, 100)), TrustError);
  ASSERT_EQ(ingests().size(), 1U);
  EXPECT_EQ(gc().ingests, 0U);
  {
    const auto lock = tryLockSlot(layout_.ingestDir() / ingests().front());
    ASSERT_TRUE(lock.has_value());
    EXPECT_EQ(gc(2h).ingests, 0U);
  }
  EXPECT_EQ(gc(2h).ingests, 1U);
  EXPECT_TRUE(ingests().empty());
}

TEST_F(CareTest, GcRemovesWhatNobodyCanContinueAtOnce) {
  createStore(layout_);
  makeDirs(layout_.ingestDir() / uniqueSlotKey());
  EXPECT_EQ(gc().ingests, 1U);
}

TEST_F(CareTest, DroppingDistributedFiles) {
  const StoredImage image = ingestSigned(packed_);
  const GcReport report = gc(0s, true);
  EXPECT_EQ(report.distributed, 1U);
  EXPECT_EQ(report.blobs, 1U);
  EXPECT_FALSE(actool::exists(layout_.blob(image.distributed.digest)));
  EXPECT_FALSE(readWhole(layout_, id_).distributed.kept);
  // The next fetch brings it back.
  EXPECT_TRUE(ingestSigned(packed_).distributed.kept);
  EXPECT_EQ(offset_, 0U);
  EXPECT_TRUE(actool::exists(layout_.blob(image.distributed.digest)));
}

TEST_F(CareTest, TreesGoWithTheirImages) {
  ingestSigned(packed_);
  const RenderedTree tree = renderInStore(layout_, id_);
  EXPECT_EQ(readFile(tree.rootfs / "file", 10), "x");
  EXPECT_EQ(StoreReader(layout_).renderedRoot(id_), tree.rootfs);
  EXPECT_EQ(renderInStore(layout_, id_).rootfs, tree.rootfs);
  EXPECT_EQ(gc(2h).trees, 0U);
  remove(id_);
  EXPECT_EQ(gc().trees, 0U);
  // A pod that lies on it keeps it.
  const Path info = layout_.podsDir() / "run/6733c088-a507-4694-aabf-eda6cb99b5c4/appsinfo/web";
  makeDirs(info);
  writeFilePlain(info / "tree", tree.rootfs.string());
  EXPECT_EQ(gc(2h).trees, 0U);
  removeTree(layout_.podsDir());
  EXPECT_EQ(gc(2h).trees, 1U);
  EXPECT_TRUE(listDir(layout_.treesDir()).empty());
}

TEST_F(CareTest, ATreeThatIsOnlyMountedStaysToo) {
  ingestSigned(packed_);
  removeTree(renderInStore(layout_, id_).rootfs);
  EXPECT_EQ(gc(2h).trees, 0U);
  remove(id_);
  const Path info = layout_.podsDir() / "run/6733c088-a507-4694-aabf-eda6cb99b5c4/appsinfo/web";
  makeDirs(info);
  const std::string key = listDir(layout_.treesDir()).at(0);
  writeFilePlain(info / "tree", layout_.erofsFile(key).string() + "\n");
  EXPECT_EQ(gc(2h).trees, 0U);
  removeTree(layout_.podsDir());
  EXPECT_EQ(gc(2h).trees, 1U);
}

TEST_F(CareTest, ATreeIsMadeOfDependenciesInTheStore) {
  const std::string base = imageTar("example.com/base", {}, "base");
  ingestSigned(base);
  const std::string dependent =
      imageTar("example.com/app", {}, "app",
               {{"dependencies", Json::array({{{"imageName", "example.com/base"}}})}});
  const auto app = ingestSigned(dependent).id;
  EXPECT_EQ(readFile(renderInStore(layout_, app).rootfs / "file", 10), "app");
  const std::string missing =
      imageTar("example.com/lost", {}, "x",
               {{"dependencies", Json::array({{{"imageName", "example.com/none"}}})}});
  const auto lost = ingestSigned(missing).id;
  const std::string message = messageOf<NotFoundError>([&] { renderInStore(layout_, lost); });
  EXPECT_TRUE(message.ends_with("dependency example.com/none is not in the store; fetch it"))
      << message;
}

TEST_F(CareTest, TheNextWriterMakesALostIndexAnew) {
  ingestSigned(packed_);
  removeTree(layout_.indexDir());
  EXPECT_EQ(listed(), std::vector<schema::ImageId>{});
  EXPECT_EQ(StoreView(layout_).catalog().resolve(id_.str()).id, id_);
  const StoreWriter writer(layout_);
  EXPECT_EQ(listed(), std::vector{id_});
}

// As a process that was killed between the rename and the index leaves it.
TEST_F(CareTest, TheNextWriterFinishesWhatIsPending) {
  const StoredImage image = ingestSigned(packed_);
  {
    const auto index = openIndex(layout_.indexDir());
    IndexBatch batch;
    for (const auto& [key, value] : recordEntries(image))
      batch.remove(key);
    batch.put(pendingKey(id_), "");
    index->commit(batch);
  }
  EXPECT_EQ(listed(), std::vector<schema::ImageId>{});
  { const StoreWriter writer(layout_); }
  EXPECT_EQ(listed(), std::vector{id_});
  EXPECT_EQ(openIndexForReading(layout_.indexDir())->get(pendingKey(id_)), std::nullopt);
  // And between image.json and the index, and after the directory went.
  StoredImage changed = image;
  changed.sources.clear();
  changed.noteSource({"https://example.com/other.aci", "", "", ""});
  writeFilePlain(layout_.imageFile(id_), dumpPretty(changed.toJson()));
  openIndex(layout_.indexDir())->commit({{{pendingKey(id_), ""}}});
  { const StoreWriter writer(layout_); }
  EXPECT_EQ(StoreView(layout_).catalog().bySource("https://example.com/other.aci")->id, id_);
  removeTree(layout_.imageDir(id_));
  openIndex(layout_.indexDir())->commit({{{pendingKey(id_), ""}}});
  { const StoreWriter writer(layout_); }
  EXPECT_EQ(listed(), std::vector<schema::ImageId>{});
}

TEST_F(CareTest, AStoreOfVersion1IsBroughtToThePresentOne) {
  const StoredImage image = ingestSigned(packed_);
  // As the first release wrote it, with the keys it had.
  removeTree(layout_.indexDir());
  openIndex(layout_.indexDir())
      ->commit({{{imageKey(id_), dumpLine(image.toJson())},
                 {namePrefix(image.name) + id_.str(), ""},
                 {"source/https://example.com/web.aci", id_.str()}}});
  writeFilePlain(layout_.versionFile(), formatVersion(1));
  // Readers take it as it is and change nothing.
  EXPECT_EQ(listed(), std::vector{id_});
  EXPECT_EQ(readFile(layout_.versionFile(), 100), formatVersion(1));
  { const StoreWriter writer(layout_); }
  EXPECT_EQ(readFile(layout_.versionFile(), 100), "actool-store 3\n");
  EXPECT_EQ(listed(), std::vector{id_});
  const auto index = openIndexForReading(layout_.indexDir());
  EXPECT_EQ(index->get("source/https://example.com/web.aci"), std::nullopt);
  EXPECT_EQ(index->get(blobPrefix(id_.tarDigest()) + id_.str()), "");
  EXPECT_EQ(index->get(kFormatKey), kIndexFormat);
}

// Killed in the middle of a migration, the next writer begins it again.
TEST_F(CareTest, AHalfMigratedStoreIsMigratedAgain) {
  ingestSigned(packed_);
  removeTree(layout_.indexDir());
  openIndex(layout_.indexDir())->commit({{{"half", "done"}}});
  writeFilePlain(layout_.versionFile(), formatVersion(1));
  { const StoreWriter writer(layout_); }
  EXPECT_EQ(listed(), std::vector{id_});
  EXPECT_EQ(openIndexForReading(layout_.indexDir())->get("half"), std::nullopt);
}

// The file as distributed that two records name stays until the second goes.
TEST_F(CareTest, ASharedBlobStays) {
  const StoredImage image = ingestSigned(packed_);
  const schema::ImageId other = schema::ImageId::parse("sha512-" + std::string(128, '0'));
  openIndex(layout_.indexDir())
      ->commit({{{blobPrefix(image.distributed.digest) + other.str(), ""}}});
  remove(id_);
  EXPECT_FALSE(actool::exists(layout_.tarBlob(id_)));
  EXPECT_TRUE(actool::exists(layout_.blob(image.distributed.digest)));
}

TEST_F(CareTest, FsckRebuildsTheIndex) {
  const StoredImage image = ingestSigned(packed_);
  removeTree(layout_.indexDir());
  FsckReport report = checkStore(layout_);
  EXPECT_EQ(report.images, 1U);
  EXPECT_EQ(report.entriesAdded, 6U);
  EXPECT_EQ(listed(), std::vector{id_});
  EXPECT_EQ(checkStore(layout_).entriesAdded, 0U);

  writeFilePlain(layout_.indexDir() / "CURRENT", "MANIFEST-999999\n");
  report = checkStore(layout_);
  EXPECT_TRUE(report.indexReplaced);
  EXPECT_EQ(StoreView(layout_).catalog().find(id_)->toJson(), image.toJson());
}

TEST_F(CareTest, FsckLeavesBrokenImagesOutAndNamesThem) {
  ingestSigned(packed_);
  const std::string second = imageTar("example.com/second");
  const auto other = ingestSigned(second).id;
  ASSERT_EQ(::truncate(layout_.tarBlob(id_).c_str(), 10), 0);
  const FsckReport report = checkStore(layout_);
  ASSERT_EQ(report.broken.size(), 1U);
  EXPECT_EQ(report.broken.front(), id_.str() + ": " + layout_.tarBlob(id_).string() +
                                       " has 10 bytes instead of " + std::to_string(tar_.size()));
  EXPECT_EQ(listed(), std::vector{other});
}

TEST_F(CareTest, FsckFindsAFlippedBitAndRepairKeepsTheBytes) {
  ingestSigned(packed_);
  std::string damaged = tar_;
  damaged[2000] = static_cast<char>(damaged[2000] ^ 1);
  writeFilePlain(layout_.tarBlob(id_), damaged);
  FsckReport report = checkStore(layout_);
  ASSERT_EQ(report.broken.size(), 1U);
  EXPECT_NE(report.broken.front().find("the tar is damaged"), std::string::npos);
  EXPECT_TRUE(actool::exists(layout_.imageDir(id_)));
  report = checkStore(layout_, {.repair = true});
  EXPECT_EQ(report.quarantined, 1U);
  EXPECT_FALSE(actool::exists(layout_.imageDir(id_)));
  const Path place = layout_.dir() / "quarantine" / id_.str();
  EXPECT_EQ(readFile(place / "tar", 1 << 20), damaged);
  EXPECT_EQ(readFile(place / "distributed", 1 << 20), packed_);
  EXPECT_TRUE(actool::exists(place / "image/signature.asc"));
  EXPECT_NE(readFile(place / "why", 10000).find("the tar is damaged"), std::string::npos);
  EXPECT_TRUE(checkStore(layout_).broken.empty());
  ingestSigned(packed_);
  EXPECT_EQ(listed(), std::vector{id_});
}

TEST_F(CareTest, RepairMendsWhatFollowsFromOtherFiles) {
  const StoredImage image = ingestSigned(packed_);
  const std::string manifest = readFile(layout_.manifestFile(id_), 1 << 20);
  writeFilePlain(layout_.manifestFile(id_), "garbage");
  writeFilePlain(layout_.blob(image.distributed.digest), "garbage");
  FsckReport report = checkStore(layout_, {.repair = true});
  EXPECT_TRUE(report.broken.empty());
  EXPECT_EQ(report.mended.size(), 2U);
  EXPECT_EQ(readFile(layout_.manifestFile(id_), 1 << 20), manifest);
  EXPECT_FALSE(readWhole(layout_, id_).distributed.kept);
  EXPECT_EQ(readFile(layout_.dir() / "quarantine" / id_.str() / "distributed", 100), "garbage");
  EXPECT_EQ(listed(), std::vector{id_});
  // The index has a copy of the record.
  writeFilePlain(layout_.imageFile(id_), "garbage");
  report = checkStore(layout_, {.repair = true});
  EXPECT_TRUE(report.broken.empty());
  EXPECT_EQ(readWhole(layout_, id_).id, id_);
}

TEST_F(CareTest, FsckNamesForeignFilesAndRepairRemovesBrokenLinks) {
  ingestSigned(packed_);
  writeFilePlain(layout_.dir() / "notes", "mine");
  writeFilePlain(layout_.dir() / "blobs/sha512/stray", "mine");
  removeTree(layout_.treeLink(id_));
  ASSERT_EQ(::symlink("../../../trees/nowhere", layout_.treeLink(id_).c_str()), 0);
  FsckReport report = checkStore(layout_);
  EXPECT_EQ(report.foreign, (std::vector<std::string>{"notes", "blobs/sha512/stray"}));
  EXPECT_TRUE(report.mended.empty());
  report = checkStore(layout_, {.repair = true});
  EXPECT_EQ(report.mended.size(), 1U);
  EXPECT_FALSE(actool::exists(layout_.treeLink(id_)));
  EXPECT_EQ(readFile(layout_.dir() / "notes", 10), "mine");
}

TEST_F(CareTest, VerifyReadsEveryByte) {
  const StoredImage image = ingestSigned(packed_);
  const VerifyReport report = verifyImage(layout_, image, keystore_, verifier_);
  EXPECT_TRUE(report.distributedChecked);
  ASSERT_TRUE(report.signature.has_value());
  EXPECT_EQ(report.signature->signer.fingerprint, kFingerprint);

  const auto damage = [](const Path& path, std::size_t at) {
    std::string bytes = readFile(path, 1 << 20);
    bytes[at] = static_cast<char>(bytes[at] ^ 1);
    writeFilePlain(path, bytes);
  };
  const auto refusal = [&] {
    return messageOf<TrustError>([&] { verifyImage(layout_, image, keystore_, verifier_); });
  };
  damage(layout_.tarBlob(id_), 2000);
  EXPECT_TRUE(refusal().starts_with("the tar is damaged: " + layout_.tarBlob(id_).string()));
  damage(layout_.tarBlob(id_), 2000);
  damage(layout_.manifestFile(id_), 0);
  EXPECT_EQ(refusal(), layout_.manifestFile(id_).string() +
                           " is not the manifest in the tar; remove the image and fetch it again");
  damage(layout_.manifestFile(id_), 0);
  damage(layout_.blob(image.distributed.digest), 15);
  EXPECT_TRUE(refusal().starts_with("the file as distributed is damaged")) << refusal();
  damage(layout_.blob(image.distributed.digest), 15);
  EXPECT_EQ(refusal(), "(no error)");
  keystore_.disable(dir_.path() / "config",
                    trust::TrustRule{schema::AcIdentifier::parse("example.com")}, kFingerprint);
  EXPECT_NE(refusal(), "(no error)");
}

TEST_F(CareTest, AnImportMakesMetadataToMount) {
  ingestSigned(packed_);
  const auto mountable = StoreReader(layout_).mountable(id_);
  ASSERT_TRUE(mountable);
  EXPECT_TRUE(actool::exists(mountable->metadata));
  ASSERT_EQ(mountable->devices.size(), 1U);
  EXPECT_EQ(mountable->devices[0].tar, layout_.tarBlob(id_));
  EXPECT_EQ(mountable->devices[0].size, tar_.size());
  EXPECT_TRUE(checkStore(layout_).metadataDropped.empty());
  verifyMetadata(layout_, id_);
}

TEST_F(CareTest, LargerTreesAreMadeLater) {
  ingestSigned(packed_);
  removeTree(layout_.treesDir());
  EXPECT_THAT(messageOf([&] { makeErofsInStore(layout_, id_, 1); }),
              testing::HasSubstr("more than 1 entries"));
  EXPECT_FALSE(StoreReader(layout_).mountable(id_));
  makeErofsInStore(layout_, id_, 2);  // the root and a file
  EXPECT_TRUE(StoreReader(layout_).mountable(id_));
}

TEST_F(CareTest, MetadataThatDoesNotFitItsTarsGoes) {
  ingestSigned(packed_);
  const auto mountable = StoreReader(layout_).mountable(id_);
  const std::string devices = readFile(mountable->tree / "devices", 1000);
  const std::string metadata = readFile(mountable->metadata, 1 << 20);
  const auto dropped = [&] {
    const auto lines = checkStore(layout_).metadataDropped;
    EXPECT_EQ(lines.empty(), actool::exists(mountable->metadata));
    EXPECT_EQ(lines.empty(), actool::exists(mountable->tree / "devices"));
    makeErofsInStore(layout_, id_);
    EXPECT_EQ(readFile(mountable->metadata, 1 << 20), metadata);
    return lines.empty() ? std::string() : lines.at(0);
  };
  EXPECT_EQ(dropped(), "");
  writeFilePlain(mountable->tree / "devices", "nonsense\n");
  EXPECT_THAT(dropped(), testing::HasSubstr("is not an image ID"));
  removeTree(mountable->tree / "devices");
  EXPECT_THAT(dropped(), testing::HasSubstr("devices"));
  writeFilePlain(mountable->tree / "devices", devices + devices);
  EXPECT_THAT(dropped(), testing::HasSubstr("bad EROFS metadata"));
  writeFilePlain(mountable->metadata, "");
  EXPECT_THAT(dropped(), testing::HasSubstr("bad EROFS metadata"));
  std::string flipped = metadata;
  flipped[flipped.size() - 1] = 'x';
  writeFilePlain(mountable->metadata, flipped);
  EXPECT_THAT(messageOf([&] { verifyMetadata(layout_, id_); }),
              testing::HasSubstr("is not what its tars make"));
}

}  // namespace
}  // namespace actool::cas
