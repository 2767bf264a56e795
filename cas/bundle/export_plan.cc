#include "cas/bundle/export_plan.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "cas/render_store.h"
#include "core/base/error.h"
#include "core/base/strings.h"
#include "trust/verifier.h"

namespace actool::cas {

namespace {

constexpr int kMaxDepth = 64;  // of dependencies of dependencies, as when they are rendered

// Images in an order in which each comes after what it depends on.
class Closure {
 public:
  explicit Closure(const StoreView& view) : view_(view), resolver_(view.reader().layout()) {}

  void add(const schema::ImageId& id) { visit(id, 0); }
  const std::vector<schema::ImageId>& order() const { return order_; }
  const std::vector<schema::ImageId>& dependencies(const schema::ImageId& id) const {
    return dependencies_.at(id);
  }

 private:
  void visit(const schema::ImageId& id, int depth) {
    if (dependencies_.contains(id)) return;
    // A circle can't be made of image IDs, but of names.
    if (depth > kMaxDepth || !open_.insert(id).second) {
      throw Error(fmt::format("{} depends on itself, or on images nested deeper than {} levels",
                              id.shortForm(), kMaxDepth));
    }
    std::vector<schema::ImageId> direct;
    for (const auto& dependency : view_.reader().manifest(id).dependencies) {
      const schema::ImageId found =
          withContext(id.shortForm(), [&] { return resolver_.resolve(dependency); });
      if (std::find(direct.begin(), direct.end(), found) == direct.end()) direct.push_back(found);
      visit(found, depth + 1);
    }
    open_.erase(id);
    dependencies_.emplace(id, std::move(direct));
    order_.push_back(id);
  }

  const StoreView& view_;
  StoreResolver resolver_;
  std::set<schema::ImageId> open_;
  std::map<schema::ImageId, std::vector<schema::ImageId>> dependencies_;
  std::vector<schema::ImageId> order_;
};

class Planner {
 public:
  Planner(const StoreView& view, const ExportRequest& request,
          const std::function<void(std::uint64_t, std::uint64_t)>& onProgress)
      : view_(view), request_(request), onProgress_(onProgress), closure_(view) {}

  BundlePlan run() {
    ImageList list;
    collect(list);
    std::vector<Path> files;
    for (auto& image : list.images) {
      files.push_back(fileOf(stored_.at(image.id)));
      cutFile(image, files.back());
    }
    BundlePlan plan{.list = std::move(list),
                    .imagesJson = {},
                    .set = setOf(""),
                    .files = std::move(files),
                    .signatures = std::move(signatures_),
                    .pieces = {},
                    .leftOut = {},
                    .starts = {}};
    plan.imagesJson = plan.list.dump();
    plan.set = setOf(plan.imagesJson);
    plan.pieces = plan.list.pieces();
    for (const auto& piece : plan.pieces) {
      plan.leftOut.push_back(request_.other && request_.other->pieces.contains(piece.digest));
    }
    plan.starts = fitVolumes(plan, request_.split);
    return plan;
  }

 private:
  void collect(ImageList& list) {
    const bool wanted = request_.images.empty() && request_.other;
    std::set<schema::ImageId> asked;
    for (const auto& name : wanted ? request_.other->want : request_.images)
      asked.insert(view_.catalog().resolve(name).id);
    list.asked.assign(asked.begin(), asked.end());
    for (const auto& id : asked)
      closure_.add(id);
    for (const auto& id : closure_.order()) {
      const auto image = view_.catalog().find(id);
      if (!image) throw NotFoundError(fmt::format("image {} was removed", id.shortForm()));
      if (request_.other && request_.other->have.contains(id)) {
        list.assumed.push_back({.id = id, .name = image->name, .labels = image->labels});
        continue;
      }
      list.images.push_back({.id = id,
                             .name = image->name,
                             .labels = image->labels,
                             .dependencies = closure_.dependencies(id),
                             .distributed = image->distributed.digest,
                             .size = image->distributed.size,
                             .pieces = {},
                             .signature = signatureOf(*image)});
      total_ += image->distributed.size;
      stored_.emplace(id, *image);
    }
  }

  std::optional<BundleSignature> signatureOf(const StoredImage& image) {
    if (!image.signature) return std::nullopt;
    std::string text =
        readFile(view_.reader().layout().signatureFile(image.id), trust::kMaxSignatureBytes);
    const Digest piece = digestOf(DigestAlgorithm::sha512, text);
    const std::uint64_t size = text.size();
    const bool known =
        std::any_of(signatures_.begin(), signatures_.end(),
                    [&](const PlannedSignature& other) { return other.piece == piece; });
    if (!known) signatures_.push_back({piece, std::move(text)});
    return BundleSignature{.piece = piece, .size = size};
  }

  Path fileOf(const StoredImage& image) const {
    if (!image.distributed.kept) {
      throw NotFoundError(fmt::format("the file as distributed of {} ({}) was dropped",
                                      image.name.str(), image.id.shortForm()),
                          "fetch the image again: its signature is over that file");
    }
    return view_.reader().layout().blob(image.distributedBlob());
  }

  void cutFile(BundleImage& image, const Path& path) {
    const UniqueFd file = openFile(path.string(), O_RDONLY);
    Hasher whole(DigestAlgorithm::sha256);
    std::vector<std::byte> buffer(kPieceBytes);
    std::uint64_t size = 0;
    while (const std::size_t got = readFull(file.get(), buffer, path.string())) {
      const auto bytes = std::span<const std::byte>(buffer).first(got);
      whole.update(bytes);
      Hasher hasher(DigestAlgorithm::sha512);
      hasher.update(bytes);
      image.pieces.push_back(hasher.finish());
      size += got;
      read_ += got;
      onProgress_(read_, total_);
    }
    if (size != image.size || whole.finish() != image.distributed) {
      throw Error(fmt::format("the file as distributed of {} is damaged", image.describe()),
                  "remove the image and fetch it again");
    }
  }

  const StoreView& view_;
  const ExportRequest& request_;
  const std::function<void(std::uint64_t, std::uint64_t)>& onProgress_;
  Closure closure_;
  std::map<schema::ImageId, StoredImage> stored_;
  std::vector<PlannedSignature> signatures_;
  std::uint64_t total_ = 0;
  std::uint64_t read_ = 0;
};

}  // namespace

BundlePlan planExport(const StoreView& view, const ExportRequest& request,
                      const std::function<void(std::uint64_t, std::uint64_t)>& onProgress) {
  return Planner(view, request, onProgress).run();
}

}  // namespace actool::cas
