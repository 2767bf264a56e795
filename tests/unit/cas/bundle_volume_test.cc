// Planning, writing and reading volumes.
#include <gtest/gtest.h>

#include "cas/bundle/volume_reader.h"
#include "tests/unit/cas/bundle_test_support.h"

namespace actool::cas {
namespace {

using test::messageOf;

class Collector : public VolumeVisitor {
 public:
  void begin(const VolumeHeader& header, const ImageList& list,
             std::string_view imagesJson) override {
    ++begun;
    volume = header.volume;
    EXPECT_EQ(setOf(imagesJson), header.set);
    images = list.images.size();
  }
  bool wants(const Digest& piece, bool isSignature) override {
    (isSignature ? signatures : files).push_back(piece);
    return wanted;
  }
  void piece(const Digest& piece, std::span<const std::byte> bytes) override {
    got[piece] = std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }

  int begun = 0;
  std::uint64_t volume = 0;
  std::size_t images = 0;
  bool wanted = true;
  std::vector<Digest> signatures;
  std::vector<Digest> files;
  std::map<Digest, std::string> got;
};

class BundleVolumeTest : public StoreTest {
 protected:
  BundleVolumeTest() {
    base_ = ingestSigned(imageTar("example.com/base", {}, noise(10 << 20, 1))).id;
    const Json needs = {{"dependencies", Json::array({{{"imageName", "example.com/base"}}})}};
    app_ = ingestSigned(compress("gzip", imageTar("example.com/app", {}, "app", needs))).id;
    other_ = ingestSigned(imageTar("example.com/other", {}, noise(5 << 20, 2), needs)).id;
  }

  BundlePlan plan(const ExportRequest& request) {
    std::uint64_t last = 0;
    BundlePlan result =
        planExport(StoreView(layout_), request, [&](std::uint64_t done, std::uint64_t total) {
          EXPECT_LE(done, total);
          EXPECT_GT(done, last);
          last = done;
        });
    for (std::size_t volume = 0; volume < result.volumes(); ++volume)
      EXPECT_EQ(volumeOf(result, volume).size(), volumeSize(result, volume));
    return result;
  }
  BundlePlan plan(const std::vector<std::string>& images,
                  std::optional<std::uint64_t> split = std::nullopt) {
    return plan(ExportRequest{.images = images, .other = std::nullopt, .split = split});
  }

  schema::ImageId base_ = schema::ImageId::fromTarDigest(sha512(""));
  schema::ImageId app_ = base_;
  schema::ImageId other_ = base_;
};

TEST_F(BundleVolumeTest, DependenciesComeFirstAndOnce) {
  const BundlePlan both = plan({"example.com/app", "example.com/other"});
  ASSERT_EQ(both.list.images.size(), 3U);
  EXPECT_EQ(both.list.images[0].id, base_);
  EXPECT_EQ(both.list.images[1].dependencies, std::vector{base_});
  EXPECT_EQ(both.list.asked.size(), 2U);
  EXPECT_EQ(plan({other_.str(), app_.str()}).imagesJson, both.imagesJson);
  EXPECT_EQ(volumeOf(plan({other_.str(), app_.str()})), volumeOf(both));
  EXPECT_NE(plan({app_.str()}).set, both.set);
}

TEST_F(BundleVolumeTest, VolumesAreNotLargerThanTheyMayBeAndHaveEverythingOnce) {
  for (const std::uint64_t split : {8ULL << 20, 9ULL << 20, 12ULL << 20, 1ULL << 30}) {
    const BundlePlan cut = plan({"example.com/app", "example.com/other"}, split);
    std::vector<Digest> files;
    for (std::size_t volume = 0; volume < cut.volumes(); ++volume) {
      const std::string bytes = volumeOf(cut, volume);
      EXPECT_LE(bytes.size(), split);
      Collector collector;
      StringSource source(bytes);
      readVolume(source, collector);
      EXPECT_EQ(collector.volume, volume + 1);
      EXPECT_EQ(collector.signatures.size(), 3U);
      files.insert(files.end(), collector.files.begin(), collector.files.end());
    }
    std::vector<Digest> expected;
    for (const auto& piece : cut.pieces)
      expected.push_back(piece.digest);
    EXPECT_EQ(files, expected);
    EXPECT_EQ(cut.volumes() == 1, split == 1ULL << 30);
  }
}

TEST_F(BundleVolumeTest, AVolumeHoldsAtLeastAPiece) {
  EXPECT_NE(
      messageOf<UsageError>([&] {
        plan({"example.com/base"}, 4 << 20);
      }).find("a volume of 4194304 bytes is too small; the list of images and one piece need "),
      std::string::npos);
}

TEST_F(BundleVolumeTest, ManyVolumesHaveALongHeader) {
  // No files: only the arithmetic.
  BundlePlan huge = plan({"example.com/base"});
  for (std::size_t i = 0; i < 5000; ++i) {
    huge.pieces.push_back({.digest = sha512(std::to_string(i)), .size = kPieceBytes});
    huge.leftOut.push_back(false);
  }
  huge.starts = fitVolumes(huge, kMinSplit);
  EXPECT_EQ(huge.volumes(), 5002U);  // two don't fit
  EXPECT_LE(volumeSize(huge, 5001), kMinSplit);
  huge.starts = fitVolumes(huge, 5 * kPieceBytes);
  EXPECT_LE(volumeSize(huge, 0), 5 * kPieceBytes);
  EXPECT_GT(volumeSize(huge, 0), 4 * kPieceBytes);
}

TEST_F(BundleVolumeTest, WhatTheOtherSideHasIsLeftOut) {
  BundleRequest other;
  other.have.insert(base_);
  other.addWanted("example.com/other");
  const BundlePlan first = plan({.images = {}, .other = other, .split = std::nullopt});
  ASSERT_EQ(first.list.images.size(), 1U);
  EXPECT_EQ(first.list.assumed[0].id, base_);
  EXPECT_EQ(first.list.asked, std::vector{other_});
  EXPECT_EQ(first.list.images[0].dependencies, std::vector{base_});
  other.pieces.insert(first.list.images[0].pieces[0]);
  const BundlePlan rest = plan({.images = {}, .other = other, .split = std::nullopt});
  EXPECT_EQ(rest.imagesJson, first.imagesJson);
  EXPECT_GT(volumeSize(first, 0), volumeSize(rest, 0) + kPieceBytes);
  Collector collector;
  const std::string bytes = volumeOf(rest);
  StringSource source(bytes);
  readVolume(source, collector);
  EXPECT_EQ(collector.files, std::vector{first.list.images[0].pieces[1]});
}

TEST_F(BundleVolumeTest, CirclesOfNames) {
  const auto needs = [](const std::string& name) {
    return Json{{"dependencies", Json::array({{{"imageName", name}}})}};
  };
  ingestSigned(imageTar("example.com/hen", {}, "hen", needs("example.com/egg")));
  ingestSigned(imageTar("example.com/egg", {}, "egg", needs("example.com/hen")));
  EXPECT_NE(messageOf([&] { plan({"example.com/hen"}); }).find("depends on itself"),
            std::string::npos);
}

TEST_F(BundleVolumeTest, AFileThatChangesMeanwhileIsNotWritten) {
  const BundlePlan before = plan({"example.com/base"});
  const Path blob = layout_.tarBlob(base_);
  writeFilePlain(blob, noise(10 << 20, 9));
  EXPECT_NE(messageOf([&] { volumeOf(before); }).find("changed while it was read"),
            std::string::npos);
  EXPECT_NE(messageOf([&] { plan({"example.com/base"}); }).find("is damaged"), std::string::npos);
}

TEST_F(BundleVolumeTest, ReadingInAnySteps) {
  const std::string bytes = volumeOf(plan({"example.com/app"}));
  for (const std::size_t step : {std::size_t{1000}, std::size_t{4096}, bytes.size()}) {
    Collector collector;
    StringSource source(bytes, step);
    readVolume(source, collector);
    EXPECT_EQ(collector.begun, 1);
    EXPECT_EQ(collector.images, 2U);
    for (const auto& [digest, content] : collector.got)
      EXPECT_EQ(sha512(content), digest);
    EXPECT_EQ(collector.got.size(), 2 + 4U);
  }
  Collector passing;
  passing.wanted = false;
  StringSource source(bytes);
  readVolume(source, passing);
  EXPECT_TRUE(passing.got.empty());
}

TEST_F(BundleVolumeTest, DamagedPiecesCostOnlyThemselves) {
  std::string bytes = volumeOf(plan({"example.com/app"}));
  bytes[bytes.size() - (6 << 20)] ^= 1;
  Collector collector;
  StringSource source(bytes);
  EXPECT_NE(messageOf<TrustError>([&] {
              readVolume(source, collector);
            }).find("1 of its pieces is damaged, pieces/"),
            std::string::npos);
  EXPECT_EQ(collector.got.size(), 2 + 3U);
}

TEST_F(BundleVolumeTest, TruncatedAtEveryBlock) {
  const std::string bytes =
      volumeOf(plan({.images = {"example.com/app"},
                     .other = BundleRequest{.want = {}, .have = {base_}, .pieces = {}},
                     .split = std::nullopt}));
  for (std::size_t size = 0; size < bytes.size() - 512; size += 512) {
    Collector collector;
    StringSource source(bytes.substr(0, size));
    EXPECT_NE(messageOf<TrustError>([&] { readVolume(source, collector); }), "(no error)") << size;
  }
}

}  // namespace
}  // namespace actool::cas
