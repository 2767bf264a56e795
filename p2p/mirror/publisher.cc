#include "p2p/mirror/publisher.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "core/base/fd.h"
#include "core/base/log.h"
#include "core/cli/sibling_tool.h"
#include "p2p/mirror/version_pattern.h"

namespace actool::mirror {
namespace {

bool isFileOf(const Path& path, std::optional<std::uint64_t> size) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return false;
  return !size || static_cast<std::uint64_t>(info.st_size) == *size;
}

// By which an image is asked for here, in the order in which a list is read.
schema::Labels servedLabels(const schema::Labels& labels, bool versioned) {
  std::vector<schema::Label> served;
  for (const std::string_view name : {"arch", "os", "version"}) {
    if (name == "version" && !versioned) continue;
    if (const auto value = labels.get(name))
      served.push_back({schema::AcIdentifier::parse(name), std::string(*value)});
  }
  return schema::Labels::make(std::move(served));
}

// One order, so that the same images make the same release: higher versions first, then by labels.
void sortImages(std::vector<record::ListedImage>& images) {
  const auto version = [](const record::ListedImage& image) {
    return image.labels.get("version").value_or(std::string_view());
  };
  std::sort(images.begin(), images.end(), [&](const auto& a, const auto& b) {
    if (version(a) != version(b)) {
      if (version(a).empty() || version(b).empty()) return version(a).empty();
      return isHigherVersion(version(a), version(b));
    }
    return dumpLine(a.labels.toObject()) < dumpLine(b.labels.toObject());
  });
}

}  // namespace

void Publisher::tell(const Error& error) {
  if (const auto* failure = dynamic_cast<const cli::SiblingFailure*>(&error)) {
    writeAll(STDERR_FILENO, failure->text(), "standard error");
  } else {
    log::error("{}", error.what());
  }
}

const std::optional<record::Versions>& Publisher::current(const schema::AcIdentifier& name) {
  const auto known = current_.find(name);
  if (known != current_.end()) return known->second;
  return current_.emplace(name, currentVersions(site_.layout(), name)).first->second;
}

bool Publisher::isPlaced(const record::ListedImage& image) const {
  return isFileOf(site_.layout().image(*image.digest), image.size) &&
         isFileOf(site_.layout().signature(*image.signature), std::nullopt);
}

record::ListedImage Publisher::place(const record::Image& image, bool versioned, bool verify) {
  const std::string shown = schema::AppRef(image.name, image.labels).str();
  return withContext(fmt::format("mirroring {}", shown), [&] {
    const auto distributed = outside_.distributed(image.id);
    if (!distributed) {
      throw NotFoundError("the store no longer has the file as distributed",
                          fmt::format("remove it with `actool image rm {}` and fetch it again",
                                      image.id.shortForm()));
    }
    record::ListedImage listed{.labels = servedLabels(image.labels, versioned),
                               .id = image.id,
                               .digest = distributed->digest,
                               .size = distributed->size,
                               .signedBy = image.signedBy,
                               .dependencies = outside_.dependencies(image.id)};
    // Not only when it is published: an impossible label is no reason to stop in the middle.
    static_cast<void>(imagePath(image.name, listed.labels));
    writer_.place(*distributed);
    listed.signature = digestOf(DigestAlgorithm::sha256, *distributed->signature);
    if (verify) {
      outside_.verify(image.name, site_.layout().image(*listed.digest),
                      site_.layout().signature(*listed.signature));
    }
    if (site_.config().torrents) placeTorrent(image.name, listed);
    return listed;
  });
}

void Publisher::placeTorrent(const schema::AcIdentifier& name, const record::ListedImage& image) {
  const SiteLayout& layout = site_.layout();
  const Path target = layout.torrent(*image.signature);
  if (isFileOf(target, std::nullopt)) return;
  const Path file = layout.image(*image.digest);
  writer_.placeFile(target, [&](const Path& made) {
    outside_.makeTorrent(name, file, layout.signature(*image.signature), made,
                         site_.config().url + webPath(layout, file), site_.config().trackers);
  });
}

std::vector<Digest> Publisher::keysOf(const std::vector<record::ListedImage>& images) {
  std::set<Digest> digests;
  for (const record::ListedImage& image : images) {
    if (image.signedBy.empty()) continue;
    const auto [known, isNew] = keys_.try_emplace(image.signedBy);
    if (isNew) {
      if (const auto armored = outside_.key(image.signedBy))
        known->second = writer_.placeKey(*armored);
    }
    if (known->second) digests.insert(*known->second);
  }
  return {digests.begin(), digests.end()};
}

void Publisher::publish(const schema::AcIdentifier& name, std::vector<record::ListedImage> images) {
  sortImages(images);
  noteChanges(name, images);
  const std::vector<Digest> keys = keysOf(images);
  writer_.publish({{name, std::move(images)}, keys});
}

void Publisher::noteChanges(const schema::AcIdentifier& name,
                            const std::vector<record::ListedImage>& images) {
  const auto find = [](const std::vector<record::ListedImage>& list,
                       const record::ListedImage& image) {
    return std::find_if(list.begin(), list.end(),
                        [&](const auto& other) { return other.labels == image.labels; });
  };
  const std::vector<record::ListedImage> before =
      current(name) ? current(name)->images : std::vector<record::ListedImage>{};
  for (const record::ListedImage& image : images) {
    const auto old = find(before, image);
    if (old == before.end()) {
      changes_.push_back({Change::added, name, image});
    } else if (old->digest != image.digest || old->signature != image.signature) {
      changes_.push_back({Change::replaced, name, image});
    }
  }
  for (const record::ListedImage& image : before) {
    if (find(images, image) == images.end()) changes_.push_back({Change::removed, name, image});
  }
}

void Publisher::finish() {
  // Also when nothing changed: a run that was killed may have left them behind.
  writer_.writeListPages();
}

}  // namespace actool::mirror
