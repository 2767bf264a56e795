#include "cas/gc_quota.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>

#include "cas/gc_record.h"
#include "cas/layout/lease.h"
#include "core/base/error.h"
#include "core/base/lock.h"
#include "core/base/strings.h"
#include "core/schema/semver.h"

namespace actool::cas {

namespace {

constexpr std::chrono::seconds kWhileFetching{24 * 3600};

struct Image {
  std::string id;
  std::string name;
  std::string versionText;
  std::optional<schema::SemVer> version;
  std::string imported;
  std::string active;       // when it was imported, asked for, confirmed or used last
  std::uint64_t bytes = 0;  // of its files below blobs/
  bool held = false;
  bool wanted = false;  // by --keep-last
  bool taken = false;
  std::size_t dependents = 0;                  // that stay
  std::vector<std::size_t> dependencies = {};  // places in the list of images

  // For people.
  std::string label() const {
    return versionText.empty() ? name : name + ':' + printable(versionText);
  }
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
      withContext("index entry " + printable(key), [&] {
        readImage(schema::ImageId::parse(key.substr(kImagePrefix.size())), readGcRecord(value));
      });
      return true;
    });
  }

  void readImage(const schema::ImageId& id, GcRecord record) {
    const std::string_view version = record.label("version");
    Image image{.id = id.str(),
                .name = std::move(record.name),
                .versionText = std::string(version),
                .version = schema::SemVer::tryParse(version),
                .imported = std::move(record.imported),
                .active = std::move(record.active),
                .bytes = record.bytes};
    if (const auto used = writer_.reader().lastUsed(id)) {
      image.active = std::max(image.active, preciseTime(*used));
    }
    total_ += image.bytes;
    if (const auto needed = byName_.find(image.name); needed != byName_.end()) {
      std::vector<schema::Label> labels;
      for (auto& [name, value] : record.labels)
        labels.push_back({schema::AcIdentifier::parse(name), std::move(value)});
      needed->second.push_back({.id = id,
                                .labels = schema::Labels::make(std::move(labels)),
                                .version = image.version,
                                .askedWithoutVersion = std::move(record.askedWithoutVersion),
                                .imported = image.imported});
    }
    images_.push_back(std::move(image));
  }

  // The index has them in the order of their IDs.
  std::optional<std::size_t> placeOf(const schema::ImageId& id) const {
    const auto found =
        std::lower_bound(images_.begin(), images_.end(), id.str(),
                         [](const Image& image, const std::string& key) { return image.id < key; });
    if (found == images_.end() || found->id != id.str()) return std::nullopt;
    return static_cast<std::size_t>(found - images_.begin());
  }

  void hold(std::chrono::system_clock::time_point now) {
    const auto holdOne = [&](const schema::ImageId& id) {
      if (const auto place = placeOf(id)) images_[*place].held = true;
    };
    for (const auto& id : imagesOfPods(writer_.layout()))
      holdOne(id);
    for (const auto& lease : activeLeases(writer_.layout(), now)) {
      for (const auto& id : lease.images)
        holdOne(id);
    }
    auto grace = options_.grace;
    // What a fetch that runs just committed is not told apart from the rest; it is young.
    if (isFetching()) grace = std::max(grace, kWhileFetching);
    const std::string young = preciseTime(now - grace);
    for (auto& image : images_)
      image.held = image.held || image.active > young;
  }

  bool isFetching() const {
    const Path file = writer_.layout().dir() / "fetching";
    return actool::exists(file) && !FileLock::tryAcquire(file, LockMode::exclusive);
  }

  void readDependencies() {
    for (const auto& id : dependents_) {
      const auto place = placeOf(id);
      if (!place) continue;
      for (const auto& dependency : writer_.reader().manifest(id).dependencies) {
        std::optional<schema::ImageId> needed = dependency.imageId;
        if (!needed) {
          const schema::AppRef ref(dependency.imageName, dependency.labels);
          const MatchKey* match = bestMatch(byName_[ref.name().str()], ref);
          if (match != nullptr) needed = match->id;
        }
        const auto found = needed ? placeOf(*needed) : std::nullopt;
        if (!found) continue;
        images_[*place].dependencies.push_back(*found);
        ++images_[*found].dependents;
      }
    }
  }

  static bool isFree(const Image& image) {
    return !image.taken && !image.held && image.dependents == 0;
  }

  // Of the images that go with it those that are free by that.
  std::vector<std::size_t> take(std::size_t place) {
    Image& image = images_[place];
    image.taken = true;
    total_ -= image.bytes;
    taken_.push_back(
        {.what = "image", .name = image.id, .label = image.label(), .bytes = image.bytes});
    std::vector<std::size_t> freed;
    for (const std::size_t dependency : image.dependencies) {
      --images_[dependency].dependents;
      if (isFree(images_[dependency])) freed.push_back(dependency);
    }
    return freed;
  }

  // The highest versions of each name stay; what has none counts as the lowest, the oldest first.
  void takeOldVersions(std::uint64_t keep) {
    std::map<std::string_view, std::vector<std::size_t>> names;
    for (std::size_t place = 0; place < images_.size(); ++place)
      names[images_[place].name].push_back(place);
    std::vector<std::size_t> ready;
    for (auto& [name, places] : names) {
      if (places.size() <= keep) continue;
      std::sort(places.begin(), places.end(), [&](std::size_t a, std::size_t b) {
        const Image& one = images_[a];
        const Image& other = images_[b];
        if (one.version && other.version && *one.version != *other.version) {
          return *other.version < *one.version;
        }
        if (one.version.has_value() != other.version.has_value()) return one.version.has_value();
        return std::tie(other.imported, b) < std::tie(one.imported, a);
      });
      for (std::size_t i = keep; i < places.size(); ++i) {
        images_[places[i]].wanted = true;
        if (isFree(images_[places[i]])) ready.push_back(places[i]);
      }
    }
    while (!ready.empty()) {
      const std::size_t place = ready.back();
      ready.pop_back();
      for (const std::size_t freed : take(place)) {
        if (images_[freed].wanted) ready.push_back(freed);
      }
    }
  }

  void takeLeastRecent(std::uint64_t keep) {
    if (total_ <= keep) return;
    std::set<std::pair<std::string_view, std::size_t>> ready;
    for (std::size_t place = 0; place < images_.size(); ++place) {
      if (isFree(images_[place])) ready.emplace(images_[place].active, place);
    }
    while (total_ > keep && !ready.empty()) {
      const std::size_t place = ready.extract(ready.begin()).value().second;
      for (const std::size_t freed : take(place))
        ready.emplace(images_[freed].active, freed);
    }
  }

  const StoreWriter& writer_;
  const GcOptions& options_;
  std::vector<Image> images_;
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
