// Questions to the store's index, over one state of it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cas/index.h"
#include "cas/layout.h"
#include "cas/stored_image.h"
#include "core/record/record.h"
#include "core/schema/app_ref.h"
#include "core/schema/identifier.h"
#include "core/schema/image_id.h"
#include "core/schema/labels.h"
#include "core/schema/semver.h"

namespace actool::cas {

// Of an image, all that match() chooses by.
struct MatchKey {
  schema::ImageId id;
  schema::Labels labels;
  std::optional<schema::SemVer> version;
  std::string askedWithoutVersion;  // when it was last asked for by its name alone; may be empty
  std::string imported;
};
MatchKey matchKeyOf(const StoredImage& image);
// The one of these, all of the name of `ref`, that Catalog::match() answers with; null when none
// matches.
const MatchKey* bestMatch(const std::vector<MatchKey>& keys, const schema::AppRef& ref);

class Catalog {
 public:
  // Neither is owned; both have to outlive this object.
  Catalog(const StoreReader& store, const IndexReader& index) : store_(store), index_(index) {}

  // By ID.
  std::vector<StoredImage> list() const;
  std::optional<StoredImage> find(const schema::ImageId& id) const;
  // Every image of that name.
  std::vector<StoredImage> named(const schema::AcIdentifier& name) const;
  // Images with a dependency on an image of that name, or on exactly `id`.
  std::vector<schema::ImageId> dependentsOn(const schema::AcIdentifier& name,
                                            const schema::ImageId& id) const;
  // The image whose file as distributed has the detached signature of that digest.
  std::optional<StoredImage> bySignature(const Digest& sha256) const;
  // Of the images that came from `url` the one that was confirmed to lie there last.
  std::optional<StoredImage> bySource(const std::string& url) const;

  // The image that matches: the one itself asked for without a version when `ref` has none,
  // else the highest version by SemVer precedence, else the one imported last. Where `ref`
  // names neither os nor arch, images that say they are for another machine come last.
  std::optional<StoredImage> match(const schema::AppRef& ref) const;
  // What an operator named: an AppRef, or an image ID or prefix of one. NotFoundError when there
  // is none, UsageError for other forms and ambiguous prefixes.
  StoredImage resolve(std::string_view argument) const;

  // image.record() with the time of last use.
  record::Image record(const StoredImage& image) const;

 private:
  const StoreReader& store_;
  const IndexReader& index_;
};

}  // namespace actool::cas
