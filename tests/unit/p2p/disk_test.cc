#include "p2p/disk.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <optional>
#include <string>

#include <libtorrent/disk_buffer_holder.hpp>
#include <libtorrent/disk_observer.hpp>
#include <libtorrent/error_code.hpp>
#include <libtorrent/file_storage.hpp>
#include <libtorrent/hasher.hpp>
#include <libtorrent/io_context.hpp>
#include <libtorrent/peer_request.hpp>
#include <libtorrent/performance_counters.hpp>
#include <libtorrent/settings_pack.hpp>
#include <libtorrent/storage_defs.hpp>

#include "tests/unit/p2p/p2p_test_support.h"

namespace actool::p2p {

namespace {

constexpr int kDiskPiece = 64 << 10;
constexpr int kDiskBlock = 16 << 10;

struct Waiting : lt::disk_observer {
  virtual ~Waiting() = default;
  void on_disk() override { ++told; }
  int told = 0;
};

// One torrent of one file over a file of the test's own; what a session would do, step by step.
class DiskTest : public testing::Test {
 protected:
  DiskTest() {
    files_.set_piece_length(kDiskPiece);
    files_.add_file("image", static_cast<std::int64_t>(content_.size()));
    files_.set_num_pieces(static_cast<int>((content_.size() + kDiskPiece - 1) / kDiskPiece));
    registry_.add(bytes_);
    settings_ = std::make_unique<lt::settings_pack>(lt::default_settings());
    disk_ = diskOver(registry_)(io_, *settings_, counters_);
    const lt::aux::vector<lt::download_priority_t, lt::file_index_t> priorities;
    storage_ = disk_->new_torrent(
        {files_, nullptr, "/key", lt::storage_mode_sparse, priorities, lt::sha1_hash()}, nullptr);
  }
  ~DiskTest() override {
    storage_.reset();
    disk_->abort(true);
    drain();
  }

  Path path() const { return dir_.path() / "image"; }
  void attach(bool mayHaveData = false) {
    UniqueFd writable = openFile(path().string(), O_RDWR | O_CREAT);
    if (::ftruncate(writable.get(), static_cast<off_t>(content_.size())) != 0) std::abort();
    bytes_->attach(0, openFile(path().string(), O_RDONLY), std::move(writable), mayHaveData);
  }

  void drain() {
    io_.restart();
    io_.poll();
  }
  // Runs the session's loop until the answer is there.
  template <typename T>
  T wait(const std::optional<T>& answer) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!answer && std::chrono::steady_clock::now() < end)
      drain();
    EXPECT_TRUE(answer.has_value());
    return answer.value_or(T{});
  }

  lt::storage_error write(int piece, int start, std::string_view data) {
    std::optional<lt::storage_error> answer;
    disk_->async_write(storage_, {lt::piece_index_t{piece}, start, static_cast<int>(data.size())},
                       data.data(), nullptr,
                       [&](const lt::storage_error& error) { answer = error; });
    return wait(answer);
  }
  std::string read(int piece, int start, int length) {
    std::optional<std::string> answer;
    disk_->async_read(storage_, {lt::piece_index_t{piece}, start, length},
                      [&](const lt::disk_buffer_holder& buffer, const lt::storage_error& error) {
                        answer = error
                                     ? "failed: " + error.ec.message()
                                     : std::string(buffer.data(), static_cast<std::size_t>(length));
                      });
    return wait(answer);
  }
  lt::sha1_hash hash(int piece, lt::span<lt::sha256_hash> v2 = {}) {
    std::optional<lt::sha1_hash> answer;
    disk_->async_hash(storage_, lt::piece_index_t{piece}, v2, lt::disk_interface::v1_hash,
                      [&](lt::piece_index_t, const lt::sha1_hash& value, const lt::storage_error&) {
                        answer = value;
                      });
    return wait(answer);
  }
  std::optional<lt::status_t>& check() {
    disk_->async_check_files(
        storage_, nullptr, {},
        [this](lt::status_t status, const lt::storage_error&) { checked_ = status; });
    return checked_;
  }
  std::string_view part(int begin, int length) const {
    return std::string_view(content_).substr(static_cast<std::size_t>(begin),
                                             static_cast<std::size_t>(length));
  }

  const TempDir dir_{tempRoot()};
  // The last piece is a short one.
  const std::string content_ = noise(2 * kDiskPiece + 5000);
  lt::file_storage files_;
  BytesRegistry registry_;
  std::shared_ptr<TorrentBytes> bytes_ = std::make_shared<TorrentBytes>("/key");
  lt::io_context io_;
  lt::counters counters_;
  std::unique_ptr<lt::settings_pack> settings_;
  std::unique_ptr<lt::disk_interface> disk_;
  lt::storage_holder storage_;
  std::optional<lt::status_t> checked_;
};

TEST_F(DiskTest, writesWhereThePieceLies) {
  attach();
  EXPECT_FALSE(write(1, kDiskBlock, part(kDiskPiece + kDiskBlock, kDiskBlock)));
  EXPECT_EQ(read(1, kDiskBlock, kDiskBlock), part(kDiskPiece + kDiskBlock, kDiskBlock));
  EXPECT_EQ(readFile(path(), 1 << 20).substr(kDiskPiece + kDiskBlock, kDiskBlock),
            part(kDiskPiece + kDiskBlock, kDiskBlock));
  // The rest is a hole.
  EXPECT_EQ(read(0, 0, kDiskBlock), std::string(kDiskBlock, '\0'));
}

TEST_F(DiskTest, hashesBothWays) {
  writeFilePlain(path(), content_);
  attach();
  EXPECT_EQ(hash(0), lt::hasher(part(0, kDiskPiece)).final());
  std::array<lt::sha256_hash, 1> last;
  EXPECT_EQ(hash(2, last), lt::hasher(part(2 * kDiskPiece, 5000)).final());
  EXPECT_EQ(last[0], lt::hasher256(part(2 * kDiskPiece, 5000)).final());
}

TEST_F(DiskTest, waitsForTheBytes) {
  check();
  drain();
  EXPECT_FALSE(checked_.has_value());
  attach();
  EXPECT_EQ(wait(checked_), lt::status_t::no_error);
}

TEST_F(DiskTest, aTorrentThatEndsWaitsNoMore) {
  const auto torrent = std::make_shared<int>();  // what a session's handler keeps alive
  disk_->async_check_files(
      storage_, nullptr, {},
      [this, torrent](lt::status_t value, const lt::storage_error&) { checked_ = value; });
  drain();
  EXPECT_FALSE(checked_.has_value());
  std::optional<bool> stopped;
  disk_->async_stop_torrent(storage_, [&] { stopped = true; });
  EXPECT_TRUE(wait(stopped));
  EXPECT_EQ(wait(checked_), lt::status_t::fatal_disk_error);
  EXPECT_EQ(torrent.use_count(), 1);
  attach();  // has nobody to tell
}

TEST_F(DiskTest, whatMayBeThereIsChecked) {
  attach(true);
  check();
  EXPECT_EQ(wait(checked_), lt::status_t::need_full_check);
  // A hole is not read; what it would hash to is in no torrent.
  EXPECT_EQ(hash(0), lt::sha1_hash());
}

TEST_F(DiskTest, sealedIsReadOnly) {
  attach();
  bytes_->seal();
  EXPECT_EQ(write(0, 0, part(0, kDiskBlock)).ec.value(), EROFS);
  EXPECT_EQ(read(0, 0, kDiskBlock), std::string(kDiskBlock, '\0'));
}

TEST_F(DiskTest, peersWaitForTheDiskAndAreTold) {
  attach();
  const auto observer = std::make_shared<Waiting>();
  const std::string block(part(0, kDiskBlock));
  std::optional<bool> last;
  // More than may be queued, faster than any disk.
  int full = 0;
  const int count = (64 << 20) / kDiskBlock;
  for (int i = 0; i < count; ++i) {
    full += disk_->async_write(storage_, {lt::piece_index_t{0}, 0, kDiskBlock}, block.data(),
                               observer, [&, i](const lt::storage_error&) {
                                 if (i == count - 1) last = true;
                               });
  }
  EXPECT_TRUE(wait(last));
  drain();
  EXPECT_EQ(observer->told, full);
}

TEST_F(DiskTest, torrentThatNobodyRegistered) {
  const lt::aux::vector<lt::download_priority_t, lt::file_index_t> priorities;
  lt::storage_holder other = disk_->new_torrent(
      {files_, nullptr, "/elsewhere", lt::storage_mode_sparse, priorities, lt::sha1_hash()},
      nullptr);
  std::optional<lt::status_t> status;
  disk_->async_check_files(other, nullptr, {},
                           [&](lt::status_t value, const lt::storage_error&) { status = value; });
  EXPECT_EQ(wait(status), lt::status_t::fatal_disk_error);
}

}  // namespace

}  // namespace actool::p2p
