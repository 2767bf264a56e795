#include "p2p/torrent_cache.h"

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "p2p/metrics.h"
#include "tests/unit/p2p/p2p_test_support.h"

namespace actool::p2p {
namespace {

class TorrentCacheTest : public testing::Test {
 protected:
  TempDir dir_{tempRoot()};
  TorrentCache cache_{dir_.path() / "torrents"};
  std::string bytes_ = noise(100'000);
  cas::DistributedImage image_{.id = schema::ImageId::parse("sha512-" + std::string(128, 'a')),
                               .digest = digestOf(DigestAlgorithm::sha256, bytes_),
                               .size = bytes_.size(),
                               .file = "/nowhere",
                               .signature = "the signature"};
  cas::FileLook look_{.device = 1, .inode = 2, .size = 100'000, .modified = 3, .changed = 4};
  std::string torrent_ = torrentOf(bytes_, contentOf(bytes_));
};

TEST_F(TorrentCacheTest, KeepsOfAFileThatLooksTheSame) {
  EXPECT_EQ(cache_.get(image_, look_, std::nullopt), std::nullopt);
  cache_.put(image_, look_, std::nullopt, torrent_);
  EXPECT_EQ(cache_.get(image_, look_, std::nullopt), torrent_);
  cas::FileLook other = look_;
  other.changed = 5;
  EXPECT_EQ(cache_.get(image_, other, std::nullopt), std::nullopt);
}

TEST_F(TorrentCacheTest, AnotherSignatureIsAnotherTorrent) {
  cache_.put(image_, look_, std::nullopt, torrent_);
  image_.signature = "another";
  EXPECT_EQ(cache_.get(image_, look_, std::nullopt), std::nullopt);
}

TEST_F(TorrentCacheTest, DamageIsNotBelieved) {
  cache_.put(image_, look_, std::nullopt, torrent_);
  const Path file = dir_.path() / "torrents" / TorrentCache::fileNameOf(image_, std::nullopt);
  std::string content = readFile(file, 1 << 20);
  content[content.size() - 40] ^= 1;
  writeFilePlain(file, content);
  EXPECT_EQ(cache_.get(image_, look_, std::nullopt), std::nullopt);
  writeFilePlain(file, "");
  EXPECT_EQ(cache_.get(image_, look_, std::nullopt), std::nullopt);
}

TEST_F(TorrentCacheTest, WhatIsNotWantedGoes) {
  cache_.put(image_, look_, std::nullopt, torrent_);
  cache_.keepOnly([&](const std::string& name) {
    return name == TorrentCache::fileNameOf(image_, std::nullopt);
  });
  EXPECT_EQ(cache_.get(image_, look_, std::nullopt), torrent_);
  cache_.keepOnly([](const std::string&) { return false; });
  EXPECT_EQ(cache_.get(image_, look_, std::nullopt), std::nullopt);
}

TEST(Metrics, Text) {
  const Json status = {{"images", {{{"id", "sha512-ab"}, {"uploaded", 7}}}},
                       {"peers", 2},
                       {"uploaded", 7},
                       {"uploadRate", 1}};
  const std::string text = metricsText(status);
  EXPECT_NE(text.find("actool_seed_images 1\n"), std::string::npos) << text;
  EXPECT_NE(text.find("actool_seed_image_uploaded_bytes_total{id=\"sha512-ab\"} 7\n"),
            std::string::npos)
      << text;
  EXPECT_THROW(MetricsServer("0.0.0.0", 9100), UsageError);
  EXPECT_THROW(MetricsServer("192.0.2.1", 9100), UsageError);
}

}  // namespace
}  // namespace actool::p2p
