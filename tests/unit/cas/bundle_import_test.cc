// Volumes on their way into a store.
#include <gtest/gtest.h>
#include <signal.h>

#include "cas/bundle/piece_feeder.h"
#include "cas/care.h"
#include "tests/unit/cas/bundle_test_support.h"

namespace actool::cas {
namespace {

using test::messageOf;
using namespace std::chrono_literals;

class BundleImportTest : public StoreTest {
 protected:
  BundleImportTest() {
    ::signal(SIGPIPE, SIG_IGN);  // as toolMain() does
    base_ = ingestSigned(imageTar("example.com/base", {}, noise(13 << 20, 1))).id;
    const Json needs = {{"dependencies", Json::array({{{"imageName", "example.com/base"}}})}};
    app_ = ingestSigned(compress("gzip", imageTar("example.com/app", {}, noise(5 << 20, 2), needs)))
               .id;
    all_ = {base_, app_};
    std::sort(all_.begin(), all_.end());
  }

  std::vector<std::string> volumes(const ExportRequest& request) {
    const BundlePlan plan = planExport(StoreView(layout_), request, [](auto, auto) {});
    std::vector<std::string> all;
    for (std::size_t i = 0; i < plan.volumes(); ++i)
      all.push_back(volumeOf(plan, i));
    return all;
  }
  std::vector<std::string> splitVolumes() {
    return volumes({.images = {"example.com/app"}, .other = std::nullopt, .split = kMinSplit});
  }

  // One run of the tool. Errors of volumes go to problems_, refusals to refused_.
  ImportOutcome import(const std::vector<std::string>& list) {
    createStore(island_);
    BundleScratch scratch(island_, [] { ADD_FAILURE() << "nobody else imports"; });
    const ImportDoor door{.layout = island_,
                          .keystore = keystore_,
                          .verifier = &verifier_,
                          .limits = limits_,
                          .insecure = insecure_};
    BundleImport import(
        door, scratch,
        {.onRefused = [&](const TrustError& error) { refused_.push_back(error.what()); },
         .onStored = [&](const StoredImage& image) { stored_.push_back(image.id); }});
    for (const auto& volume : list) {
      try {
        StringSource source(volume);
        import.addVolume(source);
      } catch (const TrustError& error) {
        problems_.push_back(error.what());
      }
    }
    if (list.empty()) import.addPending();
    return import.finish();
  }

  std::vector<schema::ImageId> there() const {
    const StoreView view(island_);
    std::vector<schema::ImageId> ids;
    for (const auto& image : view.catalog().list())
      ids.push_back(image.id);
    return ids;
  }
  void expectNothingLeft() const {
    EXPECT_EQ(listDir(island_.dir() / "bundles"), std::vector<std::string>{});
    EXPECT_EQ(listDir(island_.ingestDir()), std::vector<std::string>{});
  }

  StoreLayout island_{dir_.path() / "island"};
  bool insecure_ = false;
  schema::ImageId base_ = schema::ImageId::fromTarDigest(sha512(""));
  schema::ImageId app_ = base_;
  std::vector<schema::ImageId> all_;
  std::vector<std::string> problems_;
  std::vector<std::string> refused_;
  std::vector<schema::ImageId> stored_;
};

TEST_F(BundleImportTest, VolumesInAnyOrder) {
  std::vector<std::string> list = splitVolumes();
  ASSERT_EQ(list.size(), 4U);
  std::sort(list.begin(), list.end());
  int orders = 0;
  do {
    removeTree(island_.dir());
    stored_.clear();
    for (std::size_t i = 0; i < list.size(); ++i) {
      const ImportOutcome outcome = import({list[i]});
      EXPECT_EQ(outcome.missing.empty(), i + 1 == list.size());
    }
    EXPECT_EQ(there(), all_);
    // Each once, the dependency first.
    EXPECT_EQ(stored_, (std::vector{base_, app_}));
    expectNothingLeft();
  } while (++orders < 5 && std::next_permutation(list.begin(), list.end()));
  EXPECT_TRUE(problems_.empty() && refused_.empty());
}

TEST_F(BundleImportTest, WhatIsMissingIsSaidExactly) {
  const auto list = splitVolumes();
  const ImportOutcome outcome = import({list[0], list[3]});
  ASSERT_EQ(outcome.missing.size(), 2U);
  const MissingImage& base = outcome.missing[0];
  EXPECT_EQ(base.id, base_);
  EXPECT_EQ(base.volumes, (std::vector<std::uint64_t>{2, 3}));
  EXPECT_EQ(base.pieces.size(), 3U);
  EXPECT_EQ(base.describe(), "example.com/base (" + base_.shortForm() +
                                 "): 3 of 5 pieces are missing (9.0 MiB), in volumes 2 and 3 of 4");
  EXPECT_FALSE(base.waitsFor);
  EXPECT_EQ(base.toJson()["volumes"], Json({2, 3}));
  EXPECT_TRUE(outcome.asked.empty());
}

TEST_F(BundleImportTest, AnImageWaitsForItsDependency) {
  auto list = splitVolumes();
  const ImportOutcome outcome = import({list[1], list[2], list[3]});
  ASSERT_EQ(outcome.missing.size(), 2U);
  EXPECT_EQ(outcome.missing[1].waitsFor, base_);
  EXPECT_EQ(outcome.missing[1].describe(),
            "example.com/app (" + app_.shortForm() + ") waits for " + base_.shortForm());
  EXPECT_EQ(there(), std::vector<schema::ImageId>{});
  EXPECT_EQ(import({list[0]}).asked.size(), 1U);
  EXPECT_EQ(there(), all_);
}

TEST_F(BundleImportTest, SignersNobodyKnowsCostNoDisk) {
  verifier_ = trust::FakeVerifier({kOtherFingerprint});
  const ImportOutcome outcome = import({splitVolumes()[0]});
  ASSERT_EQ(refused_.size(), 2U);
  EXPECT_EQ(refused_[0],
            "example.com/base (" + base_.shortForm() + "): signed by unknown key " + kFingerprint);
  EXPECT_EQ(refused_[1], "example.com/app (" + app_.shortForm() + "): it depends on " +
                             base_.shortForm() + ", which was refused");
  EXPECT_TRUE(outcome.missing.empty());
  expectNothingLeft();
}

TEST_F(BundleImportTest, UnsignedImages) {
  IngestRequest request;
  request.insecure = true;
  const std::string tar = imageTar("example.com/plain");
  ingest(request, tar);
  const auto list = volumes({.images = {"example.com/plain"}, .other = {}, .split = {}});
  import(list);
  EXPECT_NE(refused_.at(0).find("there is no signature; allow any bytes with"), std::string::npos);
  expectNothingLeft();
  insecure_ = true;
  EXPECT_EQ(import(list).asked.size(), 1U);
  EXPECT_EQ(there(), std::vector{idOfTar(tar)});
  expectNothingLeft();
}

TEST_F(BundleImportTest, PiecesThatAreDamagedInTheScratch) {
  const auto list = splitVolumes();
  import({list[0], list[1]});
  const BundlePlan plan =
      planExport(StoreView(layout_), {.images = {"example.com/app"}, .other = {}, .split = {}},
                 [](auto, auto) {});
  const Digest& piece = plan.pieces[0].digest;
  const Path file = island_.dir() / "bundles" / piecePath(piece);
  ASSERT_TRUE(actool::exists(file));
  writeFilePlain(file, noise(kPieceBytes, 99));
  const ImportOutcome outcome = import({list[2]});
  ASSERT_EQ(outcome.missing.size(), 2U);
  EXPECT_EQ(outcome.missing[0].pieces, std::vector{piece});
  EXPECT_TRUE(refused_.empty());
  EXPECT_FALSE(actool::exists(file));
  import({list[0], list[3]});
  EXPECT_EQ(there(), all_);
  expectNothingLeft();
}

TEST_F(BundleImportTest, AFeederThatIsNotReadToItsEnd) {
  const auto list = splitVolumes();
  import({list[0], list[1]});
  BundleScratch scratch(island_, [] {});
  const BundleImage image = scratch.sets().at(0).list.images.at(0);
  PieceFeeder feeder(scratch, image);
  std::string some(1000, '\0');
  EXPECT_EQ(readFull(feeder.fd(), std::as_writable_bytes(std::span(some)), "the pipe"), 1000U);
  feeder.stop();
  feeder.check();
  EXPECT_FALSE(feeder.lacking());
}

TEST_F(BundleImportTest, OneImportAtATime) {
  createStore(island_);
  const BundleScratch scratch(island_, [] {});
  EXPECT_FALSE(BundleScratch::tryOpen(island_));
  // Nor does gc take what is in use.
  EXPECT_EQ(collectBundles(island_, std::chrono::system_clock::now() + 1h), 0U);
}

TEST_F(BundleImportTest, Garbage) {
  const auto list = splitVolumes();
  import({list[0]});
  const auto now = std::chrono::system_clock::now();
  EXPECT_EQ(collectBundles(island_, now - 1h), 0U);
  EXPECT_FALSE(heldPieces(island_).empty());
  writeFilePlain(island_.dir() / "bundles/pieces/foreign", "x");
  makeDirs(island_.dir() / "bundles/sets/foreign");
  EXPECT_GT(collectBundles(island_, now + 1h), kPieceBytes);
  EXPECT_TRUE(heldPieces(island_).empty());
  expectNothingLeft();
  EXPECT_TRUE(import({}).missing.empty());
}

}  // namespace
}  // namespace actool::cas
