#include <fmt/format.h>
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <chrono>
#include <cstdarg>
#include <thread>

#include "cas/index.h"
#include "core/base/error.h"

namespace actool::cas {

namespace {

// A writer holds the index for tens of milliseconds; a reader that finds it changing each
// time for two seconds is not racing, something is broken.
constexpr int kReadAttempts = 100;
constexpr std::chrono::milliseconds kReadPause{20};
// So often opening fails on files that stay the same before the index is called damaged.
constexpr int kDamagedAfter = 3;

// RocksDB writes an information log into the database's directory, even when that is opened
// read-only. Readers may not write there, and nobody reads it.
class NoLog : public rocksdb::Logger {
 public:
  NoLog() : rocksdb::Logger(rocksdb::InfoLogLevel::NUM_INFO_LOG_LEVELS) {}
  using rocksdb::Logger::Logv;
  void Logv(const char* /*format*/, va_list /*arguments*/) override {}
};

[[noreturn]] void fail(const rocksdb::Status& status, const Path& dir, std::string_view attempt) {
  // The lock file is RocksDB's own; the store's lock should have kept us apart.
  if (status.IsNoSpace()) {
    throw Error(fmt::format("{} the index {}: no space left on device", attempt, dir.string()));
  }
  throw Error(fmt::format("{} the index {}: {}", attempt, dir.string(), status.ToString()),
              "'actool image fsck' rebuilds it from the images");
}

// Small in every respect: some kB of names, opened for moments at a time, inside the memory a
// fetch may take.
rocksdb::Options smallOptions() {
  rocksdb::Options options;
  options.info_log = std::make_shared<NoLog>();
  options.write_buffer_size = 1 << 20;
  options.max_write_buffer_number = 2;
  options.max_background_jobs = 1;
  options.compression = rocksdb::kNoCompression;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.skip_stats_update_on_db_open = true;
  options.skip_checking_sst_file_sizes_on_db_open = true;
  options.max_manifest_file_size = 1 << 20;
  options.keep_log_file_num = 1;
  options.max_open_files = -1;  // files are opened once, so that a reader survives their removal
  options.max_file_opening_threads = 1;
  options.paranoid_checks = true;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(1 << 20, 0);
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

std::optional<std::string> getFrom(rocksdb::DB& db, const Path& dir, std::string_view key) {
  std::string value;
  const rocksdb::Status status =
      db.Get(rocksdb::ReadOptions(), rocksdb::Slice(key.data(), key.size()), &value);
  if (status.IsNotFound()) return std::nullopt;
  if (!status.ok()) fail(status, dir, "reading");
  return value;
}

void forEachOf(rocksdb::DB& db, const Path& dir, std::string_view prefix,
               const std::function<bool(std::string_view, std::string_view)>& visit) {
  const std::unique_ptr<rocksdb::Iterator> it(db.NewIterator(rocksdb::ReadOptions()));
  const rocksdb::Slice from(prefix.data(), prefix.size());
  for (it->Seek(from); it->Valid() && it->key().starts_with(from); it->Next()) {
    if (!visit(it->key().ToStringView(), it->value().ToStringView())) return;
  }
  if (!it->status().ok()) fail(it->status(), dir, "reading");
}

class RocksReader : public IndexReader {
 public:
  RocksReader(std::unique_ptr<rocksdb::DB> db, Path dir)
      : db_(std::move(db)), dir_(std::move(dir)) {}
  std::optional<std::string> get(std::string_view key) const override {
    return getFrom(*db_, dir_, key);
  }
  void forEach(
      std::string_view prefix,
      const std::function<bool(std::string_view, std::string_view)>& visit) const override {
    forEachOf(*db_, dir_, prefix, visit);
  }

 private:
  std::unique_ptr<rocksdb::DB> db_;
  Path dir_;
};

class RocksIndex : public Index {
 public:
  RocksIndex(std::unique_ptr<rocksdb::DB> db, Path dir)
      : db_(std::move(db)), dir_(std::move(dir)) {}
  std::optional<std::string> get(std::string_view key) const override {
    return getFrom(*db_, dir_, key);
  }
  void forEach(
      std::string_view prefix,
      const std::function<bool(std::string_view, std::string_view)>& visit) const override {
    forEachOf(*db_, dir_, prefix, visit);
  }
  void commit(const IndexBatch& batch) override {
    rocksdb::WriteBatch writes;
    for (const auto& [key, value] : batch.changes) {
      const rocksdb::Status status = value ? writes.Put(key, *value) : writes.Delete(key);
      if (!status.ok()) fail(status, dir_, "writing");
    }
    rocksdb::WriteOptions options;
    options.sync = true;
    const rocksdb::Status status = db_->Write(options, &writes);
    if (!status.ok()) fail(status, dir_, "writing");
  }

 private:
  std::unique_ptr<rocksdb::DB> db_;
  Path dir_;
};

class EmptyReader : public IndexReader {
 public:
  std::optional<std::string> get(std::string_view /*key*/) const override { return std::nullopt; }
  void forEach(
      std::string_view /*prefix*/,
      const std::function<bool(std::string_view, std::string_view)>& /*visit*/) const override {}
};

}  // namespace

std::unique_ptr<Index> openIndex(const Path& dir) {
  rocksdb::Options options = smallOptions();
  options.create_if_missing = true;
  // What was in the log becomes a table file when the next writer opens it; until then
  // readers replay it, which is cheap at this size.
  options.avoid_flush_during_shutdown = true;
  rocksdb::DB* db = nullptr;
  const rocksdb::Status status = rocksdb::DB::Open(options, dir.string(), &db);
  if (!status.ok()) fail(status, dir, "opening");
  return std::make_unique<RocksIndex>(std::unique_ptr<rocksdb::DB>(db), dir);
}

std::unique_ptr<IndexReader> openIndexForReading(const Path& dir) {
  for (int attempt = 1;; ++attempt) {
    // A writer that opens the index moves what the log holds into tables and removes the log.
    // A reader in between would miss it without an error. File numbers only grow, so an
    // unchanged listing means that nothing of the kind happened.
    const auto before = listDir(dir);
    // A database without CURRENT is one whose very first opening was cut short.
    if (std::find(before.begin(), before.end(), "CURRENT") == before.end()) {
      return std::make_unique<EmptyReader>();
    }
    rocksdb::DB* opened = nullptr;
    const rocksdb::Status status =
        rocksdb::DB::OpenForReadOnly(smallOptions(), dir.string(), &opened);
    std::unique_ptr<rocksdb::DB> db(opened);
    const bool unchanged = listDir(dir) == before;
    if (status.ok() && unchanged) return std::make_unique<RocksReader>(std::move(db), dir);
    if (attempt >= kReadAttempts || (!status.ok() && unchanged && attempt >= kDamagedAfter)) {
      if (!status.ok()) fail(status, dir, "opening");
      throw InUseError(fmt::format("the index {} keeps changing", dir.string()), "try again");
    }
    std::this_thread::sleep_for(kReadPause);
  }
}

}  // namespace actool::cas
