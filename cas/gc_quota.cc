#include "cas/gc_quota.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "cas/layout/lease.h"
#include "core/base/lock.h"
#include "core/base/strings.h"
#include "core/schema/semver.h"

namespace actool::cas {

namespace {

constexpr std::chrono::seconds kWhileFetching{24 * 3600};

struct Image {
  std::string name;
  std::string label;  // name and version, for people
  std::optional<schema::SemVer> version;
  std::string imported;
  std::string active;       // when it was imported, asked for, confirmed or used last
  std::uint64_t bytes = 0;  // of its files below blobs/
  bool held = false;
  bool wanted = false;         // by --keep-last
  std::size_t dependents = 0;  // that stay
  std::vector<std::string> dependencies = {};
};

class Quota {
 public:
  Quota(const StoreWriter& writer, const GcOptions& options,
        std::chrono::system_clock::time_point now)
      : writer_(writer), options_(options) {
    readNeeded();
    readImages();
    hold(now);
    readDependencies();
  }

  std::vector<GcItem> run() {
    if (options_.keepLast) takeOldVersions(*options_.keepLast);
    if (options_.keepBytes) takeLeastRecent(*options_.keepBytes);
    return std::move(taken_);
  }

 private:
  // The names that some image depends on, and the images that depend on others.
  void readNeeded() {
    writer_.index().forEach(kNeedsPrefix, [&](std::string_view key, std::string_view) {
      if (auto id = idInKey(key)) dependents_.insert(std::move(*id));
      byName_.try_emplace(std::string(middleOf(key)));
      return true;
    });
  }

  void readImages() {
    writer_.index().forEach(kImagePrefix, [&](std::string_view key, std::string_view value) {
      const StoredImage image = StoredImage::parse(value, printable(key));
      const auto version = image.labels.get("version");
      Image entry{
          .name = image.name.str(),
          .label = version ? image.name.str() + ':' + printable(*version) : image.name.str(),
          .version = version ? schema::SemVer::tryParse(*version) : std::nullopt,
          .imported = image.imported,
          .active = image.imported};
      for (const auto& request : image.requested)
        entry.active = std::max(entry.active, request.at);
      for (const auto& source : image.sources)
        entry.active = std::max(entry.active, source.confirmed);
      if (const auto used = writer_.reader().lastUsed(image.id)) {
        entry.active = std::max(entry.active, preciseTime(*used));
      }
      entry.bytes = image.tarSize;
      if (blobsOf(image).size() > 1) entry.bytes += image.distributed.size;
      total_ += entry.bytes;
      images_.emplace(image.id.str(), std::move(entry));
      if (const auto needed = byName_.find(image.name.str()); needed != byName_.end()) {
        needed->second.push_back(matchKeyOf(image));
      }
      return true;
    });
  }

  void hold(std::chrono::system_clock::time_point now) {
    std::unordered_set<std::string> held;
    for (const auto& id : imagesOfPods(writer_.layout()))
      held.insert(id.str());
    for (const auto& lease : activeLeases(writer_.layout(), now)) {
      for (const auto& id : lease.images)
        held.insert(id.str());
    }
    auto grace = options_.grace;
    // What a fetch that runs just committed is not told apart from the rest; it is young.
    if (isFetching()) grace = std::max(grace, kWhileFetching);
    const std::string young = preciseTime(now - grace);
    for (auto& [id, image] : images_)
      image.held = image.active > young || held.contains(id);
  }

  bool isFetching() const {
    const Path file = writer_.layout().dir() / "fetching";
    return actool::exists(file) && !FileLock::tryAcquire(file, LockMode::exclusive);
  }

  void readDependencies() {
    for (const auto& id : dependents_) {
      const auto found = images_.find(id.str());
      if (found == images_.end()) continue;
      for (const auto& dependency : writer_.reader().manifest(id).dependencies) {
        std::optional<schema::ImageId> needed = dependency.imageId;
        if (!needed) {
          const schema::AppRef ref(dependency.imageName, dependency.labels);
          const MatchKey* match = bestMatch(byName_[ref.name().str()], ref);
          if (match != nullptr) needed = match->id;
        }
        if (!needed || !images_.contains(needed->str())) continue;
        found->second.dependencies.push_back(needed->str());
        ++images_.at(needed->str()).dependents;
      }
    }
  }

  bool isFree(const Image& image) const { return !image.held && image.dependents == 0; }

  // Of the images that go with it those that are free by that.
  std::vector<std::string> take(const std::string& id) {
    const Image image = images_.at(id);
    images_.erase(id);
    total_ -= image.bytes;
    taken_.push_back({.what = "image", .name = id, .label = image.label, .bytes = image.bytes});
    std::vector<std::string> freed;
    for (const auto& dependency : image.dependencies) {
      const auto found = images_.find(dependency);
      if (found == images_.end()) continue;
      --found->second.dependents;
      if (isFree(found->second)) freed.push_back(dependency);
    }
    return freed;
  }

  // The highest versions of each name stay; what has none counts as the lowest, the oldest first.
  void takeOldVersions(std::uint64_t keep) {
    std::map<std::string, std::vector<std::string>> names;
    for (const auto& [id, image] : images_)
      names[image.name].push_back(id);
    std::vector<std::string> ready;
    for (auto& [name, ids] : names) {
      std::sort(ids.begin(), ids.end(), [&](const auto& a, const auto& b) {
        const Image& one = images_.at(a);
        const Image& other = images_.at(b);
        if (one.version && other.version && *one.version != *other.version) {
          return *other.version < *one.version;
        }
        if (one.version.has_value() != other.version.has_value()) return one.version.has_value();
        return std::tie(other.imported, b) < std::tie(one.imported, a);
      });
      for (std::size_t i = keep; i < ids.size(); ++i) {
        images_.at(ids[i]).wanted = true;
        if (isFree(images_.at(ids[i]))) ready.push_back(ids[i]);
      }
    }
    while (!ready.empty()) {
      const std::string id = std::move(ready.back());
      ready.pop_back();
      for (auto& freed : take(id)) {
        if (images_.at(freed).wanted) ready.push_back(std::move(freed));
      }
    }
  }

  void takeLeastRecent(std::uint64_t keep) {
    std::set<std::pair<std::string, std::string>> ready;
    for (const auto& [id, image] : images_) {
      if (isFree(image)) ready.emplace(image.active, id);
    }
    while (total_ > keep && !ready.empty()) {
      const std::string id = ready.extract(ready.begin()).value().second;
      for (auto& freed : take(id))
        ready.emplace(images_.at(freed).active, freed);
    }
  }

  const StoreWriter& writer_;
  const GcOptions& options_;
  std::unordered_map<std::string, Image> images_;
  std::set<schema::ImageId> dependents_;
  std::unordered_map<std::string, std::vector<MatchKey>> byName_;  // of names that are depended on
  std::uint64_t total_ = 0;
  std::vector<GcItem> taken_;
};

}  // namespace

std::vector<GcItem> imagesOverQuota(const StoreWriter& writer, const GcOptions& options,
                                    std::chrono::system_clock::time_point now) {
  if (!options.keepBytes && !options.keepLast) return {};
  return Quota(writer, options, now).run();
}

}  // namespace actool::cas
