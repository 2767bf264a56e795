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

// A writer opens the index within tens of milliseconds; a reader that finds it being opened each
// time for so long is not racing, something is broken.
constexpr std::chrono::seconds kReadPatience{30};
constexpr std::chrono::milliseconds kReadPause{3};
// So often opening fails on files that stay the same before the index is called damaged.
constexpr int kDamagedAfter = 3;
// Replaying more entries than these takes a reader longer than opening one more table.
constexpr std::uint64_t kMostReplayed = 64;
// So many tables of about one size are merged into one.
constexpr std::size_t kMergeTables = 4;

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
  // Merging in the background would be cut short with each of our short-lived processes, and
  // never finish: settle() does it instead.
  options.disable_auto_compactions = true;
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
  // Readers load the list of a table's blocks when they open it: of few blocks it is short, and of
  // a large table it is the list of its parts.
  table.block_size = 16 << 10;
  table.index_type = rocksdb::BlockBasedTableOptions::kTwoLevelIndexSearch;
  table.block_cache = rocksdb::NewLRUCache(1 << 20, 0);
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

// Reading is the same for readers and the writer.
template <typename Interface>
class RocksReads : public Interface {
 public:
  RocksReads(std::unique_ptr<rocksdb::DB> db, Path dir)
      : db_(std::move(db)), dir_(std::move(dir)) {}
  std::optional<std::string> get(std::string_view key) const override {
    std::string value;
    const rocksdb::Status status =
        db_->Get(rocksdb::ReadOptions(), rocksdb::Slice(key.data(), key.size()), &value);
    if (status.IsNotFound()) return std::nullopt;
    if (!status.ok()) fail(status, dir_, "reading");
    return value;
  }
  void forEach(
      std::string_view prefix,
      const std::function<bool(std::string_view, std::string_view)>& visit) const override {
    const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(rocksdb::ReadOptions()));
    const rocksdb::Slice from(prefix.data(), prefix.size());
    for (it->Seek(from); it->Valid() && it->key().starts_with(from); it->Next()) {
      if (!visit(it->key().ToStringView(), it->value().ToStringView())) return;
    }
    if (!it->status().ok()) fail(it->status(), dir_, "reading");
  }

 protected:
  std::unique_ptr<rocksdb::DB> db_;
  Path dir_;
};

using RocksReader = RocksReads<IndexReader>;

class RocksIndex : public RocksReads<Index> {
 public:
  using RocksReads::RocksReads;

  // Every reader replays the log, until another writer comes.
  ~RocksIndex() override {
    std::uint64_t entries = 0;
    const bool known =
        db_->GetIntProperty(rocksdb::DB::Properties::kNumEntriesActiveMemTable, &entries);
    // What can't be made a table now stays in the log, where it is safe.
    if (known && entries > kMostReplayed)
      db_->Flush(rocksdb::FlushOptions()).PermitUncheckedError();
  }
  RocksIndex(const RocksIndex&) = delete;
  RocksIndex& operator=(const RocksIndex&) = delete;

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

  // Each opening for writing leaves one more table, and each MiB of changes. Neighbours in age are
  // merged as soon as some of them are of about one size, so that there are never more than a few
  // tables for each power of two, and an entry is written anew that often only.
  void settle() override {
    for (;;) {
      std::vector<rocksdb::LiveFileMetaData> tables;
      db_->GetLiveFilesMetaData(&tables);
      std::sort(tables.begin(), tables.end(),
                [](const auto& a, const auto& b) { return a.largest_seqno > b.largest_seqno; });
      const auto merged = tablesToMerge(tables);
      if (merged.empty()) return;
      rocksdb::CompactionOptions options;
      options.compression = rocksdb::kNoCompression;
      const rocksdb::Status status = db_->CompactFiles(options, merged, 0);
      if (!status.ok()) fail(status, dir_, "merging the tables of");
    }
  }

 private:
  // Of tables with the newest first: those from some one on of which none is larger than twice
  // what is newer of them. Empty when these are too few everywhere.
  static std::vector<std::string> tablesToMerge(
      const std::vector<rocksdb::LiveFileMetaData>& tables) {
    for (std::size_t first = 0; first < tables.size(); ++first) {
      std::vector<std::string> merged;
      std::uint64_t bytes = 0;
      for (std::size_t i = first; i < tables.size(); ++i) {
        if (!merged.empty() && tables[i].size > 2 * bytes) break;
        merged.push_back(tables[i].name);
        bytes += tables[i].size;
      }
      if (merged.size() >= kMergeTables) return merged;
    }
    return {};
  }
};

class EmptyReader : public IndexReader {
 public:
  std::optional<std::string> get(std::string_view /*key*/) const override { return std::nullopt; }
  void forEach(
      std::string_view /*prefix*/,
      const std::function<bool(std::string_view, std::string_view)>& /*visit*/) const override {}
};

// The form of OpenForReadOnly() without families first tries the database as one that is fully
// compacted, which ours is not: all files would be opened twice.
std::unique_ptr<rocksdb::DB> openReadOnly(const Path& dir, rocksdb::Status& status) {
  const rocksdb::Options options = smallOptions();
  const std::vector<rocksdb::ColumnFamilyDescriptor> families{
      {rocksdb::kDefaultColumnFamilyName, rocksdb::ColumnFamilyOptions(options)}};
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* opened = nullptr;
  status = rocksdb::DB::OpenForReadOnly(options, dir.string(), families, &handles, &opened);
  std::unique_ptr<rocksdb::DB> db(opened);
  // The database has one of its own for the only family.
  for (rocksdb::ColumnFamilyHandle* handle : handles)
    db->DestroyColumnFamilyHandle(handle);
  return db;
}

// The files that say which state of the database is the present one.
std::vector<std::string> logsAndManifests(const Path& dir) {
  auto files = listDir(dir);
  std::erase_if(files, [](const std::string& file) {
    return file != "CURRENT" && !file.starts_with("MANIFEST-") && !file.ends_with(".log");
  });
  return files;
}

}  // namespace

std::unique_ptr<Index> openIndex(const Path& dir) {
  rocksdb::Options options = smallOptions();
  options.create_if_missing = true;
  // What was in the log becomes a table file when the next writer opens it; until then
  // readers replay it, which is cheap at the size that one writer leaves.
  options.avoid_flush_during_shutdown = true;
  rocksdb::DB* db = nullptr;
  const rocksdb::Status status = rocksdb::DB::Open(options, dir.string(), &db);
  if (!status.ok()) fail(status, dir, "opening");
  auto index = std::make_unique<RocksIndex>(std::unique_ptr<rocksdb::DB>(db), dir);
  index->settle();
  return index;
}

std::unique_ptr<IndexReader> openIndexForReading(const Path& dir) {
  const auto deadline = std::chrono::steady_clock::now() + kReadPatience;
  for (int failures = 0;;) {
    // A writer that opens the index moves what the log holds into tables and removes the log.
    // A reader in between would miss it without an error. Each opening makes a log and a
    // manifest with new numbers: where those are the same as before, nothing of the kind
    // happened. Tables that come and go by merging do no harm to who has opened them.
    const auto before = logsAndManifests(dir);
    // A database without CURRENT is one whose very first opening was cut short.
    if (std::find(before.begin(), before.end(), "CURRENT") == before.end()) {
      return std::make_unique<EmptyReader>();
    }
    rocksdb::Status status;
    auto db = openReadOnly(dir, status);
    const bool unchanged = logsAndManifests(dir) == before;
    if (status.ok() && unchanged) return std::make_unique<RocksReader>(std::move(db), dir);
    // A table that was merged away while it was to be opened is such a failure too, but not
    // several times.
    if (!status.ok() && unchanged && ++failures >= kDamagedAfter) fail(status, dir, "opening");
    if (std::chrono::steady_clock::now() >= deadline) {
      throw InUseError(fmt::format("the index {} keeps changing", dir.string()), "try again");
    }
    std::this_thread::sleep_for(kReadPause);
  }
}

}  // namespace actool::cas
