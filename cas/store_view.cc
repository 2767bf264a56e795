#include "cas/store.h"

namespace actool::cas {

StoreView::StoreView(const StoreLayout& layout)
    : reader_(layout),
      whole_(openIndexForReading(layout.indexDir())),
      index_(*whole_, layout.ns()),
      catalog_(reader_, index_) {}

std::vector<NamespacedImage> StoreView::bySignatureAnywhere(const Digest& sha256) const {
  std::vector<NamespacedImage> found;
  const NamespaceName& own = reader_.layout().ns();
  if (auto image = catalog_.bySignature(sha256)) found.push_back({own, std::move(*image)});
  for (const auto& ns : namespacesOf(reader_.layout())) {
    if (ns == own) continue;
    const StoreReader reader(reader_.layout().in(ns));
    const ScopedReader index(*whole_, ns);
    auto image = Catalog(reader, index).bySignature(sha256);
    if (image) found.push_back({ns, std::move(*image)});
  }
  return found;
}

}  // namespace actool::cas
