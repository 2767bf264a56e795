#include "cas/catalog.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <tuple>

#include "cas/index_entries.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/strings.h"
#include "core/record/image_arg.h"
#include "core/schema/semver.h"

namespace actool::cas {

namespace {

bool forThisMachine(const schema::Labels& labels) {
  const auto os = labels.get("os");
  const auto arch = labels.get("arch");
  return (!os || *os == schema::hostOs()) && (!arch || *arch == schema::hostArch());
}

// When it was last asked for by its name alone, "" when it never was.
std::string askedWithoutVersion(const StoredImage& image) {
  std::string latest;
  for (const auto& request : image.requested) {
    if (!request.ref.labels().get("version")) latest = std::max(latest, request.at);
  }
  return latest;
}

// True when `b` is the better answer.
bool better(const MatchKey& a, const MatchKey& b, const schema::AppRef& ref) {
  if (!ref.labels().get("os") && !ref.labels().get("arch")) {
    const bool fitA = forThisMachine(a.labels);
    const bool fitB = forThisMachine(b.labels);
    if (fitA != fitB) return fitB;
  }
  if (!ref.labels().get("version")) {
    if (a.askedWithoutVersion != b.askedWithoutVersion) {
      return a.askedWithoutVersion < b.askedWithoutVersion;
    }
    if (a.version && b.version && *a.version != *b.version) return *a.version < *b.version;
    if (a.version.has_value() != b.version.has_value()) return b.version.has_value();
  }
  return std::tie(a.imported, a.id) < std::tie(b.imported, b.id);
}

StoredImage parseValue(std::string_view key, std::string_view value) {
  return StoredImage::parse(value, fmt::format("index entry {}", printable(key)));
}

}  // namespace

MatchKey matchKeyOf(const StoredImage& image) {
  const auto version = image.labels.get("version");
  return {.id = image.id,
          .labels = image.labels,
          .version = version ? schema::SemVer::tryParse(*version) : std::nullopt,
          .askedWithoutVersion = askedWithoutVersion(image),
          .imported = image.imported};
}

const MatchKey* bestMatch(const std::vector<MatchKey>& keys, const schema::AppRef& ref) {
  const MatchKey* best = nullptr;
  for (const MatchKey& key : keys) {
    if (!ref.labels().matchedBy(key.labels)) continue;
    if (best == nullptr || better(*best, key, ref)) best = &key;
  }
  return best;
}

std::vector<StoredImage> Catalog::list() const {
  std::vector<StoredImage> images;
  index_.forEach(kImagePrefix, [&](std::string_view key, std::string_view value) {
    images.push_back(parseValue(key, value));
    return true;
  });
  return images;
}

std::optional<StoredImage> Catalog::find(const schema::ImageId& id) const {
  const std::string key = imageKey(id);
  const auto value = index_.get(key);
  if (!value) return std::nullopt;
  return parseValue(key, *value);
}

std::vector<StoredImage> Catalog::named(const schema::AcIdentifier& name) const {
  std::vector<StoredImage> images;
  index_.forEach(namePrefix(name), [&](std::string_view key, std::string_view) {
    if (const auto id = idInKey(key)) {
      if (auto image = find(*id)) images.push_back(std::move(*image));
    }
    return true;
  });
  return images;
}

std::vector<schema::ImageId> Catalog::dependentsOn(const schema::AcIdentifier& name,
                                                   const schema::ImageId& id) const {
  std::set<schema::ImageId> dependents;
  for (const std::string& prefix : {needsPrefix(name), needsPrefix(id)}) {
    index_.forEach(prefix, [&](std::string_view key, std::string_view) {
      if (auto dependent = idInKey(key)) dependents.insert(std::move(*dependent));
      return true;
    });
  }
  return {dependents.begin(), dependents.end()};
}

std::optional<StoredImage> Catalog::bySignature(const Digest& sha256) const {
  std::optional<StoredImage> image;
  index_.forEach(signaturePrefix(sha256), [&](std::string_view key, std::string_view) {
    if (const auto id = idInKey(key)) image = find(*id);
    return !image;
  });
  return image;
}

std::optional<StoredImage> Catalog::bySource(const std::string& url) const {
  std::string latest;
  std::optional<schema::ImageId> id;
  index_.forEach(sourcePrefix(url), [&](std::string_view key, std::string_view confirmed) {
    if (!id || confirmed >= latest) {
      id = idInKey(key);
      latest = confirmed;
    }
    return true;
  });
  return id ? find(*id) : std::nullopt;
}

std::optional<StoredImage> Catalog::match(const schema::AppRef& ref) const {
  auto images = named(ref.name());
  std::vector<MatchKey> keys;
  keys.reserve(images.size());
  for (const StoredImage& image : images)
    keys.push_back(matchKeyOf(image));
  const MatchKey* best = bestMatch(keys, ref);
  if (best == nullptr) return std::nullopt;
  return std::move(images[static_cast<std::size_t>(best - keys.data())]);
}

StoredImage Catalog::resolve(std::string_view argument) const {
  const record::ImageArg parsed = record::parseImageArg(argument);
  if (const auto* prefix = std::get_if<schema::ImageIdPrefix>(&parsed)) {
    const schema::ImageId id = store_.resolve(*prefix);
    if (auto image = find(id)) return std::move(*image);
    // Renamed into place by a process that was killed before it wrote the index.
    return StoredImage::parse(readFile(store_.layout().imageFile(id), JsonLimits{}.bytes),
                              store_.layout().imageFile(id).string());
  }
  if (const auto* ref = std::get_if<schema::AppRef>(&parsed)) {
    if (auto image = match(*ref)) return std::move(*image);
    throw NotFoundError(fmt::format("no image {} in {}", ref->str(), store_.layout().describe()),
                        "fetch it, or see 'actool image list'");
  }
  throw UsageError(fmt::format("'{}' names no image of the store", printable(argument)),
                   "give a name with labels, an image ID or the beginning of one");
}

record::Image Catalog::record(const StoredImage& image) const {
  record::Image record = image.record();
  if (const auto used = store_.lastUsed(image.id)) record.lastUsed = formatRfc3339(*used);
  return record;
}

}  // namespace actool::cas
