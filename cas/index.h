// The store's index: ordered keys and values, changed by atomic, durable batches. It can be
// lost: image.json files say all that is in it (docs/store-format.md has the keys).
//
// One conformance test (tests/unit/cas/store_index_test.cc) holds for every implementation.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/fs.h"

namespace actool::cas {

// Changes that happen together or not at all. Of two for one key the later one holds.
struct IndexBatch {
  // No value: the key is removed; removing what is not there is no error.
  std::vector<std::pair<std::string, std::optional<std::string>>> changes;

  void put(std::string key, std::string value) {
    changes.emplace_back(std::move(key), std::move(value));
  }
  void remove(std::string key) { changes.emplace_back(std::move(key), std::nullopt); }
  bool empty() const { return changes.empty(); }
};

class IndexReader {
 public:
  virtual ~IndexReader() = default;
  virtual std::optional<std::string> get(std::string_view key) const = 0;
  // Each entry whose key begins with `prefix`, in the order of the keys' bytes, until `visit`
  // returns false. `visit` must not change the index.
  virtual void forEach(
      std::string_view prefix,
      const std::function<bool(std::string_view key, std::string_view value)>& visit) const = 0;
};

class Index : public IndexReader {
 public:
  // Durable once it returns; seen by get() and forEach() from then on.
  virtual void commit(const IndexBatch& batch) = 0;
  // Orders what many commits of one process left, so that readers open it fast. Others need not
  // call it.
  virtual void settle() = 0;
};

// RocksDB in `dir`, created when it is missing. Only under the store's lock: another process
// with it open for writing is an error. Throws Error on a damaged database.
std::unique_ptr<Index> openIndex(const Path& dir);

// The state of the index as it is now; later changes are not seen. Takes no lock and writes
// nothing; a missing `dir` is an empty index. Tries again when a writer gets in between.
std::unique_ptr<IndexReader> openIndexForReading(const Path& dir);

}  // namespace actool::cas
