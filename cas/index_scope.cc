#include "cas/index_scope.h"

namespace actool::cas {

namespace {

constexpr char kScopeMark = '@';

}  // namespace

std::string scopePrefix(const NamespaceName& ns) {
  return ns.isDefault() ? std::string() : kScopeMark + ns.str() + '/';
}

std::optional<std::string> ScopedReader::get(std::string_view key) const {
  return whole_.get(prefix_ + std::string(key));
}

void ScopedReader::forEach(
    std::string_view prefix,
    const std::function<bool(std::string_view key, std::string_view value)>& visit) const {
  whole_.forEach(prefix_ + std::string(prefix), [&](std::string_view key, std::string_view value) {
    // Only when all of the default namespace's are asked for.
    if (prefix_.empty() && key.starts_with(kScopeMark)) return true;
    return visit(key.substr(prefix_.size()), value);
  });
}

void ScopedIndex::commit(const IndexBatch& batch) {
  if (prefix_.empty()) {
    whole_.commit(batch);
    return;
  }
  IndexBatch scoped;
  scoped.changes.reserve(batch.changes.size());
  for (const auto& [key, value] : batch.changes)
    scoped.changes.emplace_back(prefix_ + key, value);
  whole_.commit(scoped);
}

}  // namespace actool::cas
