// The index without a disk, for tests of what is above it.
#pragma once

#include <map>

#include "cas/index.h"

namespace actool::cas {

class MemoryIndex : public Index {
 public:
  std::optional<std::string> get(std::string_view key) const override {
    const auto found = entries_.find(key);
    if (found == entries_.end()) return std::nullopt;
    return found->second;
  }
  void forEach(
      std::string_view prefix,
      const std::function<bool(std::string_view, std::string_view)>& visit) const override {
    for (auto it = entries_.lower_bound(prefix); it != entries_.end(); ++it) {
      if (!it->first.starts_with(prefix) || !visit(it->first, it->second)) return;
    }
  }
  void commit(const IndexBatch& batch) override {
    for (const auto& [key, value] : batch.changes) {
      if (value) {
        entries_[key] = *value;
      } else {
        entries_.erase(key);
      }
    }
  }
  void settle() override {}

 private:
  std::map<std::string, std::string, std::less<>> entries_;
};

}  // namespace actool::cas
