#include "p2p/mirror/sync.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <deque>
#include <map>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/cli/sibling_tool.h"
#include "core/schema/timestamp.h"
#include "p2p/mirror/publisher.h"
#include "p2p/mirror/version_pattern.h"

namespace actool::mirror {
namespace {

// One run of `actool fetch` takes 256 images, dependencies included.
constexpr std::size_t kBatch = 64;

schema::AcIdentifier label(std::string_view name) {
  return schema::AcIdentifier::parse(name);
}

schema::AppRef refOf(const schema::AcIdentifier& name, const std::string& version,
                     const std::optional<Platform>& platform) {
  std::vector<schema::Label> labels;
  if (!version.empty()) labels.push_back({label("version"), version});
  if (platform) {
    labels.push_back({label("os"), platform->os});
    labels.push_back({label("arch"), platform->arch});
  }
  return {name, schema::Labels::make(std::move(labels))};
}

// Without platforms in the configuration, those of this machine and of no machine in particular.
bool isForPlatform(const schema::Labels& labels, const std::vector<Platform>& platforms) {
  const auto os = labels.get("os");
  const auto arch = labels.get("arch");
  if (!os) return platforms.empty();
  if (platforms.empty()) return *os == schema::hostOs() && (!arch || *arch == schema::hostArch());
  return std::any_of(platforms.begin(), platforms.end(), [&](const Platform& platform) {
    return platform.os == *os && arch && platform.arch == *arch;
  });
}

// Whether an image that is served answers the want.
bool answers(const Want& want, const record::ListedImage& image) {
  const bool wantsVersion = want.ref.labels().get("version").has_value();
  if (wantsVersion != image.labels.get("version").has_value()) return false;
  if (!want.ref.labels().matchedBy(image.labels)) return false;
  return want.ref.labels().get("os") || isForPlatform(image.labels, {});
}

}  // namespace

std::vector<Want> wantsOf(const FollowedName& followed,
                          const std::optional<record::Versions>& listed,
                          const std::optional<record::Versions>& current) {
  std::vector<std::optional<Platform>> platforms(followed.platforms.begin(),
                                                 followed.platforms.end());
  if (platforms.empty()) platforms.emplace_back(std::nullopt);

  std::vector<std::string> patterns;
  std::set<std::pair<std::string, std::size_t>> pairs;  // version, index of the platform
  std::vector<Want> wants;
  for (const std::string& version : followed.versions) {
    if (isPattern(version)) {
      patterns.push_back(version);
      continue;
    }
    for (std::size_t i = 0; i < platforms.size(); ++i) {
      const bool latest = version == kLatest;
      if (!pairs.insert({version, i}).second) continue;
      wants.push_back({refOf(followed.name, latest ? "" : version, platforms[i]),
                       followed.dependencies, latest});
    }
  }
  if (patterns.empty()) return wants;

  // What upstream took away stays here as long as the pattern names it.
  std::vector<std::string> versions;
  std::set<std::pair<std::string, std::size_t>> known;
  for (const auto* list : {&listed, &current}) {
    if (!*list) continue;
    for (const record::ListedImage& image : (*list)->images) {
      const auto version = image.labels.get("version");
      if (!version) continue;
      for (std::size_t i = 0; i < platforms.size(); ++i) {
        const std::vector<Platform> one =
            platforms[i] ? std::vector<Platform>{*platforms[i]} : std::vector<Platform>{};
        if (!isForPlatform(image.labels, one)) continue;
        versions.emplace_back(*version);
        known.insert({std::string(*version), i});
      }
    }
  }
  for (const std::string& version : selectVersions(patterns, versions, followed.keep)) {
    for (std::size_t i = 0; i < platforms.size(); ++i) {
      if (!known.contains({version, i}) || !pairs.insert({version, i}).second) continue;
      wants.push_back({refOf(followed.name, version, platforms[i]), followed.dependencies, false});
    }
  }
  return wants;
}

namespace {

class Sync {
 public:
  Sync(const Site& site, SiteWriter& writer, Outside& outside, const SyncOptions& options,
       std::chrono::system_clock::time_point now)
      : site_(site),
        outside_(outside),
        options_(options),
        now_(now),
        publisher_(site, writer, outside) {}

  SyncReport run() {
    for (const FollowedName& followed : site_.config().names) {
      if (options_.only.empty() || options_.only.contains(followed.name)) follow(followed);
    }
    bring();
    publish();
    publisher_.finish();
    report_.changes = publisher_.changes();
    return std::move(report_);
  }

 private:
  void follow(const FollowedName& followed) {
    followed_.insert(followed.name);
    std::optional<record::Versions> listed;
    if (std::any_of(followed.versions.begin(), followed.versions.end(), isPattern)) {
      try {
        listed = outside_.versions(followed.name);
      } catch (const Error& error) {
        publisher_.tell(error);
        note(error.code());
      }
    }
    for (Want& want : wantsOf(followed, listed, publisher_.current(followed.name)))
      push(std::move(want));
  }

  void push(Want want) {
    if (seen_.insert(want.ref.str()).second) pending_.push_back(std::move(want));
  }

  // What the site has, or what the store gets; then what that depends on.
  void bring() {
    while (!pending_.empty()) {
      std::vector<Want> batch;
      while (!pending_.empty() && batch.size() < kBatch) {
        Want want = std::move(pending_.front());
        pending_.pop_front();
        const record::ListedImage* there = want.asked ? nullptr : placed(want);
        if (there != nullptr) {
          take(want, *there);
        } else if (batch.empty() || isAlike(batch.front(), want)) {
          batch.push_back(std::move(want));
        } else {
          later_.push_back(std::move(want));
        }
      }
      if (!batch.empty()) fetch(batch);
      std::move(later_.begin(), later_.end(), std::back_inserter(pending_));
      later_.clear();
    }
  }

  // May go into one run of `actool fetch`.
  static bool isAlike(const Want& a, const Want& b) {
    return a.asked == b.asked && a.dependencies == b.dependencies;
  }

  void fetch(const std::vector<Want>& batch) {
    std::vector<schema::AppRef> refs;
    refs.reserve(batch.size());
    for (const Want& want : batch)
      refs.push_back(want.ref);
    const std::vector<Fetched> answers =
        outside_.fetch(refs, batch.front().asked ? Freshness::asked : Freshness::stored,
                       batch.front().dependencies);
    for (std::size_t i = 0; i < batch.size(); ++i)
      place(batch[i], answers.at(i));
  }

  void place(const Want& want, const Fetched& answer) {
    if (answer.image) {
      try {
        take(want, publisher_.place(*answer.image, want.ref.labels().get("version").has_value(),
                                    isOlder(*answer.image)));
        return;
      } catch (const Error& error) {
        publisher_.tell(error);
        note(error.code());
      }
    } else {
      note(answer.code);
    }
    // As it was before is better than not at all.
    if (const record::ListedImage* there = placed(want)) take(want, *there);
  }

  // In the store since before this run: its key may be revoked by now.
  bool isOlder(const record::Image& image) const {
    return image.imported.empty() || schema::Timestamp::parse(image.imported).time() < now_;
  }

  void take(const Want& want, const record::ListedImage& image) {
    std::vector<record::ListedImage>& images = chosen_[want.ref.name()];
    const auto same = std::find_if(images.begin(), images.end(),
                                   [&](const auto& other) { return other.labels == image.labels; });
    if (same == images.end()) images.push_back(image);
    if (!want.dependencies) return;
    for (const schema::AppRef& ref : image.dependencies)
      push({ref, true, false});
  }

  // The image that the site serves for the want, with its files.
  const record::ListedImage* placed(const Want& want) {
    const auto& current = publisher_.current(want.ref.name());
    if (!current) return nullptr;
    for (const record::ListedImage& image : current->images) {
      if (answers(want, image) && publisher_.isPlaced(image)) return &image;
    }
    return nullptr;
  }

  void publish() {
    // Dependencies came in last and go out first.
    std::vector<schema::AcIdentifier> names;
    for (const auto& [name, images] : chosen_) {
      if (!followed_.contains(name)) names.push_back(name);
    }
    for (const auto& [name, images] : chosen_) {
      if (followed_.contains(name)) names.push_back(name);
    }
    for (const schema::AcIdentifier& name : names) {
      // Where not everything was looked at, a dependency's other images may be needed elsewhere.
      const bool keepAll = !options_.only.empty() && !followed_.contains(name);
      publishOne(name, chosen_.at(name), keepAll);
    }
    for (const schema::AcIdentifier& name : site_.names()) {
      if (chosen_.contains(name)) continue;
      if (options_.only.empty() || followed_.contains(name)) publishOne(name, {}, false);
    }
  }

  void publishOne(const schema::AcIdentifier& name, std::vector<record::ListedImage> images,
                  bool keepAll) {
    const auto& current = publisher_.current(name);
    if (current) {
      for (const record::ListedImage& image : current->images) {
        const bool there = std::any_of(images.begin(), images.end(), [&](const auto& other) {
          return other.labels == image.labels;
        });
        if (!there && (image.added || keepAll)) images.push_back(image);
      }
    }
    publisher_.publish(name, std::move(images));
  }

  void note(ExitCode code) {
    if (report_.code == ExitCode::ok) report_.code = code;
  }

  const Site& site_;
  Outside& outside_;
  const SyncOptions& options_;
  const std::chrono::system_clock::time_point now_;
  Publisher publisher_;
  SyncReport report_;
  std::set<schema::AcIdentifier> followed_;
  std::set<std::string> seen_;
  std::deque<Want> pending_;
  std::vector<Want> later_;
  std::map<schema::AcIdentifier, std::vector<record::ListedImage>> chosen_;
};

}  // namespace

SyncReport syncSite(const Site& site, SiteWriter& writer, Outside& outside,
                    const SyncOptions& options, std::chrono::system_clock::time_point began) {
  SyncReport report = Sync(site, writer, outside, options, began).run();
  // What this very run took out of force counts too when the grace period is none.
  report.pruned = writer.prune(options.prune, systemClock().now());
  return report;
}

SyncReport addImages(const Site& site, SiteWriter& writer, Outside& outside,
                     const std::vector<record::Image>& images) {
  Publisher publisher(site, writer, outside);
  std::map<schema::AcIdentifier, std::vector<record::ListedImage>> byName;
  for (const record::Image& image : images) {
    record::ListedImage listed = publisher.place(image, true, true);
    listed.added = true;
    byName[image.name].push_back(std::move(listed));
  }
  for (auto& [name, added] : byName) {
    std::vector<record::ListedImage> all = std::move(added);
    if (const auto& current = publisher.current(name)) {
      for (const record::ListedImage& image : current->images) {
        const bool there = std::any_of(all.begin(), all.end(), [&](const auto& other) {
          return other.labels == image.labels;
        });
        if (!there) all.push_back(image);
      }
    }
    publisher.publish(name, std::move(all));
  }
  publisher.finish();
  return {publisher.changes(), {}, ExitCode::ok};
}

SyncReport removeImages(const Site& site, SiteWriter& writer, Outside& outside,
                        const std::vector<schema::AppRef>& refs) {
  Publisher publisher(site, writer, outside);
  std::map<schema::AcIdentifier, std::vector<record::ListedImage>> left;
  for (const schema::AppRef& ref : refs) {
    const auto& current = publisher.current(ref.name());
    if (current) left.try_emplace(ref.name(), current->images);
    const auto found = left.find(ref.name());
    const std::size_t taken =
        found == left.end() ? 0 : std::erase_if(found->second, [&](const auto& image) {
          return ref.labels().matchedBy(image.labels);
        });
    if (taken == 0)
      throw NotFoundError(fmt::format("the mirror has no {}", ref.str()),
                          "see `actool mirror list`");
  }
  for (auto& [name, images] : left)
    publisher.publish(name, std::move(images));
  publisher.finish();
  return {publisher.changes(), {}, ExitCode::ok};
}

}  // namespace actool::mirror
