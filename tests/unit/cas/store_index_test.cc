// What every index does, asked of each implementation; and what only one on disk can do.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <thread>

#include "cas/index.h"
#include "cas/index_scope.h"
#include "core/base/error.h"
#include "tests/support/errors.h"
#include "tests/unit/cas/memory_index.h"

namespace actool::cas {
namespace {

using test::messageOf;
using Entries = std::vector<std::pair<std::string, std::string>>;

Entries entriesOf(const IndexReader& index, std::string_view prefix) {
  Entries entries;
  index.forEach(prefix, [&](std::string_view key, std::string_view value) {
    entries.emplace_back(key, value);
    return true;
  });
  return entries;
}

// One namespace's part of an index in which others have entries too.
class Part : public Index {
 public:
  explicit Part(const NamespaceName& ns) : part_(whole_, ns) {
    IndexBatch others;
    for (const std::string key : {"@other/a", "@other/n/a", "@teams/a"})
      others.put(key, "another's");
    if (!ns.isDefault()) others.put("a", "another's");
    whole_.commit(others);
  }
  std::optional<std::string> get(std::string_view key) const override { return part_.get(key); }
  void forEach(
      std::string_view prefix,
      const std::function<bool(std::string_view, std::string_view)>& visit) const override {
    part_.forEach(prefix, visit);
  }
  void commit(const IndexBatch& batch) override { part_.commit(batch); }
  void settle() override { part_.settle(); }

 private:
  MemoryIndex whole_;
  ScopedIndex part_;
};

struct Implementation {
  const char* name;
  std::unique_ptr<Index> (*open)(const Path& dir);
};

class IndexConformance : public testing::TestWithParam<Implementation> {
 protected:
  TempDir dir_{tempRoot()};
  std::unique_ptr<Index> index_ = GetParam().open(dir_.path() / "index");
};

TEST_P(IndexConformance, IsEmptyAtFirst) {
  EXPECT_EQ(index_->get("a"), std::nullopt);
  EXPECT_EQ(entriesOf(*index_, ""), Entries{});
}

TEST_P(IndexConformance, KeepsWhatABatchPuts) {
  IndexBatch batch;
  batch.put("b", "2");
  batch.put("a", "");
  index_->commit(batch);
  EXPECT_EQ(index_->get("a"), "");
  EXPECT_EQ(index_->get("b"), "2");
  EXPECT_EQ(index_->get("ab"), std::nullopt);
}

TEST_P(IndexConformance, TheLaterChangeOfAKeyHolds) {
  IndexBatch batch;
  batch.put("a", "1");
  batch.remove("a");
  batch.remove("b");
  batch.put("b", "2");
  index_->commit(batch);
  EXPECT_EQ(entriesOf(*index_, ""), (Entries{{"b", "2"}}));
}

TEST_P(IndexConformance, RemovingNothingIsNoError) {
  IndexBatch batch;
  batch.remove("nothing");
  index_->commit(batch);
  EXPECT_EQ(entriesOf(*index_, ""), Entries{});
}

TEST_P(IndexConformance, ListsByPrefixInTheOrderOfBytes) {
  IndexBatch batch;
  for (const std::string key : {"n/b", "n/", "n0", "m", "n/a\xff", "n/a"})
    batch.put(key, key);
  batch.put(std::string("n/a\0z", 5), "nul");
  index_->commit(batch);
  std::vector<std::string> keys;
  for (const auto& [key, value] : entriesOf(*index_, "n/"))
    keys.push_back(key);
  EXPECT_EQ(keys,
            (std::vector<std::string>{"n/", "n/a", std::string("n/a\0z", 5), "n/a\xff", "n/b"}));
}

TEST_P(IndexConformance, SettlingChangesNoEntry) {
  Entries expected;
  for (int i = 100; i < 110; ++i) {
    IndexBatch batch;
    batch.put(std::to_string(i), "");
    batch.remove(std::to_string(i - 1));
    batch.put("kept/" + std::to_string(i), "x");
    index_->commit(batch);
    expected.emplace_back("kept/" + std::to_string(i), "x");
  }
  index_->settle();
  expected.insert(expected.begin(), {"109", ""});
  EXPECT_EQ(entriesOf(*index_, ""), expected);
}

TEST_P(IndexConformance, StopsWhenTheVisitorHasEnough) {
  IndexBatch batch;
  for (const char* key : {"a", "b", "c"})
    batch.put(key, "");
  index_->commit(batch);
  int visits = 0;
  index_->forEach("", [&](std::string_view key, std::string_view) {
    ++visits;
    return key != "b";
  });
  EXPECT_EQ(visits, 2);
}

INSTANTIATE_TEST_SUITE_P(
    All, IndexConformance,
    testing::Values(Implementation{"rocksdb", [](const Path& dir) { return openIndex(dir); }},
                    Implementation{"memory",
                                   [](const Path&) -> std::unique_ptr<Index> {
                                     return std::make_unique<MemoryIndex>();
                                   }},
                    Implementation{"partOfTheDefault",
                                   [](const Path&) -> std::unique_ptr<Index> {
                                     return std::make_unique<Part>(NamespaceName());
                                   }},
                    Implementation{"partOfATeam",
                                   [](const Path&) -> std::unique_ptr<Index> {
                                     return std::make_unique<Part>(NamespaceName::parse("team"));
                                   }}),
    [](const auto& one) { return std::string(one.param.name); });

TEST(RocksIndex, IsThereAfterClosing) {
  const TempDir dir(tempRoot());
  IndexBatch batch;
  batch.put("a", "1");
  openIndex(dir.path() / "index")->commit(batch);
  EXPECT_EQ(openIndexForReading(dir.path() / "index")->get("a"), "1");
  EXPECT_EQ(openIndex(dir.path() / "index")->get("a"), "1");
}

TEST(RocksIndex, AMissingDirectoryReadsAsEmpty) {
  const TempDir dir(tempRoot());
  EXPECT_EQ(entriesOf(*openIndexForReading(dir.path() / "index"), ""), Entries{});
  EXPECT_FALSE(actool::exists(dir.path() / "index"));
}

TEST(RocksIndex, ReadingWritesNothing) {
  const TempDir dir(tempRoot());
  IndexBatch batch;
  batch.put("a", "1");
  openIndex(dir.path() / "index")->commit(batch);
  const auto before = listDir(dir.path() / "index");
  EXPECT_EQ(openIndexForReading(dir.path() / "index")->get("a"), "1");
  EXPECT_EQ(listDir(dir.path() / "index"), before);
}

// Which every reader has to go through.
std::uintmax_t logBytes(const Path& index) {
  std::uintmax_t bytes = 0;
  for (const std::string& file : listDir(index)) {
    if (file.ends_with(".log")) bytes += std::filesystem::file_size(index / file);
  }
  return bytes;
}

TEST(RocksIndex, ALogThatIsLongBecomesATable) {
  const TempDir dir(tempRoot());
  const Path path = dir.path() / "index";
  const auto write = [&](int count) {
    IndexBatch batch;
    for (int i = 0; i < count; ++i)
      batch.put("n/" + std::to_string(i), "x");
    openIndex(path)->commit(batch);
  };
  write(10);
  EXPECT_GT(logBytes(path), 0U);
  write(100);
  EXPECT_EQ(logBytes(path), 0U);
  EXPECT_EQ(entriesOf(*openIndexForReading(path), "n/").size(), 100U);
}

TEST(RocksIndex, AReaderKeepsItsState) {
  const TempDir dir(tempRoot());
  const Path path = dir.path() / "index";
  IndexBatch batch;
  batch.put("a", "1");
  openIndex(path)->commit(batch);
  const auto reader = openIndexForReading(path);
  // Each opening turns the log into a table and removes it; enough of them compact the tables.
  for (int i = 0; i < 6; ++i) {
    IndexBatch more;
    more.put("a", std::to_string(i + 2));
    openIndex(path)->commit(more);
  }
  EXPECT_EQ(reader->get("a"), "1");
  EXPECT_EQ(openIndexForReading(path)->get("a"), "7");
}

// A hundred openings leave a few tables, however large the oldest is, and lose nothing.
TEST(RocksIndex, TablesStayFew) {
  const TempDir dir(tempRoot());
  const Path path = dir.path() / "index";
  IndexBatch large;
  for (int i = 0; i < 20000; ++i)
    large.put("large/" + std::to_string(i), std::string(100, 'x'));
  openIndex(path)->commit(large);
  std::uintmax_t written = 0;
  for (int i = 0; i < 100; ++i) {
    IndexBatch batch;
    batch.put("small/" + std::to_string(i), "");
    batch.remove("large/" + std::to_string(i));
    openIndex(path)->commit(batch);
  }
  std::size_t tables = 0;
  for (const auto& file : listDir(path)) {
    if (!file.ends_with(".sst")) continue;
    ++tables;
    written = std::max(written, std::filesystem::file_size(path / file));
  }
  EXPECT_LE(tables, 12U);
  EXPECT_GT(written, 2'000'000U);
  const auto reader = openIndexForReading(path);
  EXPECT_EQ(entriesOf(*reader, "small/").size(), 100U);
  EXPECT_EQ(entriesOf(*reader, "large/").size(), 19900U);
}

// The race that reading without a lock has to survive: what one writer committed is never
// missing while others come and go.
TEST(RocksIndex, ReadersBesideAWriterMissNothing) {
  const TempDir dir(tempRoot());
  const Path path = dir.path() / "index";
  IndexBatch first;
  first.put("always", "here");
  openIndex(path)->commit(first);
  std::atomic<bool> done = false;
  std::thread writer([&] {
    for (int i = 0; i < 40; ++i) {
      IndexBatch batch;
      batch.put("count", std::to_string(i));
      // So many that closing makes a table of them, too.
      for (int more = 0; i % 3 == 0 && more < 100; ++more)
        batch.put("more/" + std::to_string(more), std::to_string(i));
      openIndex(path)->commit(batch);
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    done = true;
  });
  int reads = 0;
  int last = -1;
  while (!done) {
    const auto reader = openIndexForReading(path);
    EXPECT_EQ(reader->get("always"), "here");
    const int count = std::stoi(reader->get("count").value_or("-1"));
    EXPECT_GE(count, last);
    last = count;
    ++reads;
  }
  writer.join();
  EXPECT_GT(reads, 0);
}

TEST(RocksIndex, ADamagedIndexSaysWhatToDo) {
  const TempDir dir(tempRoot());
  const Path path = dir.path() / "index";
  openIndex(path)->commit({{{"a", "1"}}});
  writeFilePlain(path / "CURRENT", "MANIFEST-999999\n");
  const std::string message = messageOf([&] { openIndexForReading(path); });
  EXPECT_NE(message.find("opening the index " + path.string()), std::string::npos) << message;
  EXPECT_TRUE(message.ends_with("; 'actool image fsck' rebuilds it from the images")) << message;
}

}  // namespace
}  // namespace actool::cas
