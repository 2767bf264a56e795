// One namespace's entries of the store's index, as an index of their own. Those of the default
// namespace have the keys of index_entries.h; those of another have "@<name>/" in front of them.
#pragma once

#include <string>

#include "cas/index.h"
#include "core/base/namespace_name.h"

namespace actool::cas {

// What the keys of the namespace begin with in the whole index: "" or "@team/". No key of
// index_entries.h begins with '@', and no name of a namespace has a '/'.
std::string scopePrefix(const NamespaceName& ns);

class ScopedReader : public IndexReader {
 public:
  // `whole` has to outlive this object.
  ScopedReader(const IndexReader& whole, const NamespaceName& ns)
      : whole_(whole), prefix_(scopePrefix(ns)) {}

  std::optional<std::string> get(std::string_view key) const override;
  void forEach(std::string_view prefix,
               const std::function<bool(std::string_view key, std::string_view value)>& visit)
      const override;

 private:
  const IndexReader& whole_;
  std::string prefix_;
};

class ScopedIndex : public Index {
 public:
  ScopedIndex(Index& whole, const NamespaceName& ns)
      : whole_(whole), reader_(whole, ns), prefix_(scopePrefix(ns)) {}

  std::optional<std::string> get(std::string_view key) const override { return reader_.get(key); }
  void forEach(std::string_view prefix,
               const std::function<bool(std::string_view key, std::string_view value)>& visit)
      const override {
    reader_.forEach(prefix, visit);
  }
  void commit(const IndexBatch& batch) override;
  void settle() override { whole_.settle(); }

 private:
  Index& whole_;
  ScopedReader reader_;
  std::string prefix_;
};

}  // namespace actool::cas
