// Tenants of one store: what they share, and what each has alone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>

#include "cas/care.h"
#include "cas/layout/lease.h"
#include "cas/layout/stamp.h"
#include "cas/render_store.h"
#include "tests/unit/cas/store_test_support.h"

namespace actool::cas {
namespace {

using namespace std::chrono_literals;
using test::messageOf;
using testing::ElementsAre;
using testing::HasSubstr;

class NamespaceTest : public StoreTest {
 protected:
  NamespaceTest() { trust(teamConfig_, kOtherFingerprint); }

  static void trust(const Path& config, const std::string& fingerprint) {
    trust::Keystore(ConfigDirs{{config}})
        .add(config, trust::TrustRule{schema::AcIdentifier::parse("example.com")}, fingerprint,
             "key");
  }

  // Into the namespace; `content` is what is sent. Counts the bytes that were asked for.
  StoredImage ingestInto(const StoreLayout& layout, IngestRequest request,
                         const std::string& content) {
    const UniqueFd input = fdOf(content);
    request.input = input.get();
    request.inputName = "the input";
    const trust::Keystore keys(
        ConfigDirs{{layout.ns().isDefault() ? dir_.path() / "config" : teamConfig_}});
    asked_ = false;
    return Ingest(layout, keys, &verifier_, limits_)
        .run(request, {.onWaiting = [](std::uint64_t) {},
                       .onOffset = [&](std::uint64_t) { asked_ = true; },
                       .onProgress = {}});
  }
  // Signed by both keys, so that either side can believe it.
  IngestRequest request() const {
    IngestRequest request;
    request.signature = trust::FakeVerifier::sign(kFingerprint, packed_) +
                        trust::FakeVerifier::sign(kOtherFingerprint, packed_);
    request.resume = true;
    return request;
  }

  static std::vector<schema::ImageId> idsIn(const StoreLayout& layout) {
    std::vector<schema::ImageId> ids;
    for (const auto& image : StoreView(layout).catalog().list())
      ids.push_back(image.id);
    return ids;
  }
  std::size_t blobCount() const {
    std::size_t count = 0;
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(layout_.dir() / "blobs")) {
      if (entry.is_regular_file()) ++count;
    }
    return count;
  }
  void expectConsistent() {
    const FsckReport report = checkStore(layout_);
    EXPECT_EQ(report.entriesAdded + report.entriesRemoved, 0U);
    EXPECT_TRUE(report.broken.empty()) << report.broken.front();
    EXPECT_TRUE(report.foreign.empty()) << report.foreign.front();
  }

  Path teamConfig_ = dir_.path() / "config/namespaces/team";
  StoreLayout team_ = layout_.in(NamespaceName::parse("team"));
  std::string tar_ = imageTar("example.com/web", {"version=1.0.0"});
  std::string packed_ = compress("gzip", tar_);
  schema::ImageId id_ = idOfTar(tar_);
  bool asked_ = false;
};

TEST_F(NamespaceTest, AnImageIsVisibleOnlyWhereItWasLetIn) {
  ingestInto(layout_, request(), packed_);
  EXPECT_EQ(idsIn(layout_), std::vector{id_});
  EXPECT_TRUE(idsIn(team_).empty());
  const StoreView view(team_);
  EXPECT_FALSE(view.reader().has(id_));
  EXPECT_THAT(messageOf([&] { view.catalog().resolve(id_.str()); }),
              HasSubstr("in namespace team of the store"));
  EXPECT_THROW(view.catalog().resolve("example.com/web"), NotFoundError);
  EXPECT_THROW(view.reader().manifest(id_), NotFoundError);
}

TEST_F(NamespaceTest, TheSecondNeedsTheSignatureAndNoBytes) {
  ingestInto(layout_, request(), packed_);
  const std::size_t blobs = blobCount();
  IngestRequest again = request();
  again.requested = schema::AppRef::parse("example.com/web:1.0.0");
  const StoredImage image = ingestInto(team_, again, "");
  EXPECT_FALSE(asked_);
  EXPECT_EQ(image.id, id_);
  EXPECT_EQ(image.signature->fingerprint, kOtherFingerprint);
  EXPECT_EQ(image.signature->keyFile,
            (teamConfig_ / "trustedkeys/prefix.d/example.com" / kOtherFingerprint).string());
  EXPECT_EQ(image.imports.size(), 1U);
  EXPECT_EQ(image.imports[0].via, "actool-image:store");
  EXPECT_EQ(blobCount(), blobs);
  EXPECT_EQ(idsIn(team_), std::vector{id_});
  // Its own record, link and stamp, over the same tree.
  EXPECT_EQ(StoreReader(team_).linkedTree(id_), StoreReader(layout_).linkedTree(id_));
  EXPECT_TRUE(StoreReader(team_).mountable(id_));
  EXPECT_FALSE(readStamps(team_.verifiedFile(id_)).empty());
  expectConsistent();
}

TEST_F(NamespaceTest, NothingIsToldToWhoDoesNotTrustTheSigner) {
  IngestRequest own;
  own.signature = trust::FakeVerifier::sign(kFingerprint, packed_);
  ingestInto(layout_, own, packed_);
  // The team has the signature, but no trust in who made it.
  EXPECT_THROW(ingestInto(team_, own, ""), TrustError);
  EXPECT_FALSE(asked_);
  EXPECT_TRUE(idsIn(team_).empty());
}

TEST_F(NamespaceTest, KnowingAnIdGivesNothing) {
  ingestInto(layout_, request(), packed_);
  IngestRequest guess;
  guess.signature = trust::FakeVerifier::sign(kOtherFingerprint, "other bytes");
  guess.imageId = id_;
  EXPECT_THROW(ingestInto(team_, guess, "other bytes"), TrustError);
  EXPECT_TRUE(asked_);
  EXPECT_TRUE(idsIn(team_).empty());
}

TEST_F(NamespaceTest, ADamagedFileIsFetchedAnew) {
  const StoredImage image = ingestInto(layout_, request(), packed_);
  std::string broken = packed_;
  broken.back() = static_cast<char>(broken.back() ^ 1);
  writeFilePlain(layout_.blob(image.distributedBlob()), broken);
  ingestInto(team_, request(), packed_);
  EXPECT_TRUE(asked_);
  expectConsistent();
}

TEST_F(NamespaceTest, AnotherSignatureOfTheSameFileIsADownloadOverTheSameBytes) {
  IngestRequest one;
  one.signature = trust::FakeVerifier::sign(kFingerprint, packed_);
  IngestRequest other;
  other.signature = trust::FakeVerifier::sign(kOtherFingerprint, packed_);
  ingestInto(layout_, one, packed_);
  const std::size_t blobs = blobCount();
  ingestInto(team_, other, packed_);
  EXPECT_TRUE(asked_);
  EXPECT_EQ(blobCount(), blobs);
  // The first one's tar is another file now, which need not be read again for that.
  const auto stamps = readStamps(layout_.verifiedFile(id_));
  EXPECT_TRUE(isStamped(stamps, kTarStamp, lookOf(layout_.tarBlob(id_)), systemClock().now(), 1h));
  expectConsistent();
}

TEST_F(NamespaceTest, BytesGoWithTheLastNamespace) {
  ingestInto(layout_, request(), packed_);
  ingestInto(team_, request(), "");
  StoreWriter(layout_).remove(id_);
  EXPECT_TRUE(idsIn(layout_).empty());
  EXPECT_TRUE(actool::exists(layout_.tarBlob(id_)));
  EXPECT_NO_THROW(verifyContent(team_, id_));
  expectConsistent();
  // Nor does a collection that runs in another namespace take anything.
  collectGarbage(layout_, {.grace = 0s}, systemClock());
  EXPECT_TRUE(StoreReader(team_).mountable(id_));
  EXPECT_NO_THROW(verifyContent(team_, id_));
  StoreWriter(team_).remove(id_);
  EXPECT_EQ(blobCount(), 0U);
}

TEST_F(NamespaceTest, QuotasAreOfOneNamespaceAndTellWhatIsFreed) {
  ingestInto(layout_, request(), packed_);
  ingestInto(team_, request(), "");
  const GcOptions everything{.grace = 0s, .keepBytes = 0};
  const GcReport shared = collectGarbage(team_, everything, systemClock());
  ASSERT_EQ(shared.images, 1U);
  EXPECT_EQ(shared.items.front().bytes, 0U);
  EXPECT_TRUE(idsIn(team_).empty());
  EXPECT_EQ(idsIn(layout_), std::vector{id_});
  const GcReport alone = collectGarbage(layout_, everything, systemClock());
  EXPECT_EQ(alone.items.front().bytes, tar_.size() + packed_.size());
  EXPECT_EQ(blobCount(), 0U);
}

TEST_F(NamespaceTest, LeasesAndPodsHoldInTheirOwn) {
  ingestInto(layout_, request(), packed_);
  ingestInto(team_, request(), "");
  writeLease(team_, {.name = "keep", .created = "2026-01-01T00:00:00Z", .images = {id_}});
  EXPECT_TRUE(usersOf(StoreWriter(layout_), id_).empty());
  EXPECT_THAT(usersOf(StoreWriter(team_), id_), ElementsAre("lease keep"));
  EXPECT_EQ(collectGarbage(team_, {.grace = 0s, .keepBytes = 0}, systemClock()).images, 0U);
  EXPECT_EQ(collectGarbage(layout_, {.grace = 0s, .keepBytes = 0}, systemClock()).images, 1U);
}

// A tree that only a pod of another namespace lies on.
TEST_F(NamespaceTest, TreesOfOtherNamespacesPodsStay) {
  ingestInto(team_, request(), packed_);
  const std::string key = *StoreReader(team_).linkedTree(id_);
  StoreWriter(team_).remove(id_);
  const Path pod = team_.podsDir() / "run/6733c088-a507-4694-aabf-0000000000a1/appsinfo/web";
  makeDirs(pod);
  writeFilePlain(pod / "tree", layout_.erofsFile(key).string() + "\n");
  collectGarbage(layout_, {.grace = 0s}, systemClock());
  EXPECT_TRUE(actool::exists(layout_.erofsFile(key)));
  removeTree(team_.podsDir());
  collectGarbage(layout_, {.grace = 0s}, systemClock());
  EXPECT_FALSE(actool::exists(layout_.erofsFile(key)));
}

// Killed after the image had its name and before the index had its entries: a removal in another
// namespace must not take the blobs, which by the index nobody needs.
TEST_F(NamespaceTest, WhatIsPendingInOneHoldsItsBytesAgainstAll) {
  ingestInto(layout_, request(), packed_);
  const StoredImage image = ingestInto(team_, request(), "");
  {
    const auto whole = openIndex(layout_.indexDir());
    ScopedIndex index(*whole, team_.ns());
    IndexBatch batch;
    for (const auto& [key, value] : recordEntries(image))
      batch.remove(key);
    batch.put(pendingKey(id_), "");
    index.commit(batch);
  }
  EXPECT_TRUE(idsIn(team_).empty());
  StoreWriter(layout_).remove(id_);
  EXPECT_TRUE(actool::exists(layout_.tarBlob(id_)));
  EXPECT_EQ(idsIn(team_), std::vector{id_});
  EXPECT_THAT(readFile(layout_.auditLog(), 1 << 20), HasSubstr("\"event\":\"recover\""));
  expectConsistent();
}

TEST_F(NamespaceTest, ALostIndexIsMadeAnewForAll) {
  ingestInto(layout_, request(), packed_);
  ingestInto(team_, request(), "");
  removeTree(layout_.indexDir());
  { const StoreWriter writer(layout_); }
  EXPECT_EQ(idsIn(layout_), std::vector{id_});
  EXPECT_EQ(idsIn(team_), std::vector{id_});
  expectConsistent();
}

TEST_F(NamespaceTest, FsckMovesABrokenImageAndLeavesTheOthersBytes) {
  ingestInto(layout_, request(), packed_);
  ingestInto(team_, request(), "");
  writeFilePlain(team_.signatureFile(id_), "another one");
  const FsckReport report = checkStore(layout_, {.repair = true});
  EXPECT_EQ(report.images, 2U);
  ASSERT_EQ(report.broken.size(), 1U);
  EXPECT_THAT(report.broken.front(), HasSubstr("namespace team: " + id_.str()));
  ASSERT_EQ(report.lost.size(), 1U);
  EXPECT_EQ(report.lost.front().ns, team_.ns());
  EXPECT_TRUE(idsIn(team_).empty());
  EXPECT_EQ(idsIn(layout_), std::vector{id_});
  EXPECT_NO_THROW(verifyContent(layout_, id_));
  expectConsistent();
}

TEST_F(NamespaceTest, FsckOfATarThatAllHaveTakesItFromAll) {
  ingestInto(layout_, request(), packed_);
  ingestInto(team_, request(), "");
  std::string broken = tar_;
  broken[600] = static_cast<char>(broken[600] ^ 1);
  writeFilePlain(layout_.tarBlob(id_), broken);
  const FsckReport report = checkStore(team_, {.repair = true});
  EXPECT_EQ(report.quarantined, 2U);
  EXPECT_EQ(report.lost.size(), 2U);
  EXPECT_TRUE(idsIn(layout_).empty());
  EXPECT_TRUE(idsIn(team_).empty());
  EXPECT_FALSE(actool::exists(layout_.tarBlob(id_)));
  expectConsistent();
}

TEST_F(NamespaceTest, AStoreOfVersion2AdmitsThem) {
  ingestInto(layout_, request(), packed_);
  writeFilePlain(layout_.versionFile(), formatVersion(2));
  EXPECT_EQ(idsIn(layout_), std::vector{id_});
  ingestInto(team_, request(), "");
  EXPECT_EQ(readFile(layout_.versionFile(), 100), "actool-store 3\n");
  EXPECT_EQ(idsIn(layout_), std::vector{id_});
  EXPECT_EQ(namespacesOf(layout_).size(), 2U);
  expectConsistent();
}

TEST_F(NamespaceTest, AreDirectoriesWithNamesThatAreNames) {
  makeDirs(layout_.namespacesDir() / "beta");
  makeDirs(layout_.namespacesDir() / "Alpha");
  makeDirs(layout_.namespacesDir() / "default");
  makeDirs(layout_.namespacesDir() / ".hidden");
  EXPECT_THAT(namespacesOf(layout_), ElementsAre(NamespaceName(), NamespaceName::parse("beta")));
  ingestInto(layout_, request(), packed_);
  EXPECT_THAT(checkStore(layout_).foreign,
              ElementsAre("namespaces/.hidden", "namespaces/Alpha", "namespaces/default"));
}

}  // namespace
}  // namespace actool::cas
