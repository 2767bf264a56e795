#include <fmt/format.h>

#include <functional>
#include <memory>
#include <unordered_set>

#include "cas/care.h"
#include "cas/fsck_image.h"
#include "cas/quarantine.h"
#include "cas/store.h"
#include "cas/tree_care.h"
#include "core/base/error.h"
#include "core/base/lock.h"
#include "core/base/log.h"
#include "core/base/strings.h"

namespace actool::cas {

namespace {

// An index that can't be read, or whose directory can't be opened, is made anew: all that is in it
// is in the images' files.
std::unique_ptr<Index> openOrReplace(const StoreLayout& layout, bool& replaced) {
  try {
    auto index = openIndex(layout.indexDir());
    index->forEach("", [](std::string_view, std::string_view) { return true; });
    return index;
  } catch (const Error& error) {
    log::warn("{}; making a new one", error.what());
  }
  removeTree(layout.indexDir());
  replaced = true;
  return openIndex(layout.indexDir());
}

// Makes the index what the files of the good images say, a bounded number of changes at a time.
class IndexFixer {
 public:
  IndexFixer(Index& index, FsckReport& report) : index_(index), report_(report) {}

  void expect(const IndexEntries& entries) {
    for (const auto& [key, value] : entries) {
      expected_.insert(std::hash<std::string_view>()(key));
      if (index_.get(key) == value) continue;
      batch_.put(key, value);
      ++report_.entriesAdded;
    }
    if (batch_.changes.size() >= kBatch) flush();
  }

  // What nothing expects goes. Keys are known by their hashes: of a billion wrong entries perhaps
  // one stays.
  void finish() {
    flush();
    index_.forEach("", [&](std::string_view key, std::string_view) {
      if (expected_.contains(std::hash<std::string_view>()(key))) return true;
      batch_.remove(std::string(key));
      ++report_.entriesRemoved;
      return true;
    });
    flush();
    index_.settle();
  }

 private:
  static constexpr std::size_t kBatch = 1000;

  void flush() {
    if (!batch_.empty()) index_.commit(batch_);
    batch_ = {};
  }

  Index& index_;
  FsckReport& report_;
  IndexBatch batch_;
  std::unordered_set<std::size_t> expected_;
};

std::optional<StoredImage> inIndex(const StoreReader& reader, const Index& index,
                                   const schema::ImageId& id) {
  try {
    return Catalog(reader, index).find(id);
  } catch (const Error& error) {
    log::debug("{}", error.what());
    return std::nullopt;
  }
}

// What has no name that this store gives, right below it and among images and blobs.
std::vector<std::string> foreignFiles(const StoreLayout& layout) {
  static const std::unordered_set<std::string> kOurs = {
      "version", "lock", "blobs",  "images",   "trees",   "ingest",    "index",
      "pods",    "tmp",  "leases", "fetching", "bundles", "quarantine"};
  std::vector<std::string> foreign;
  const auto look = [&](const Path& dir, const std::function<bool(const std::string&)>& ours) {
    for (const auto& entry : listDir(layout.dir() / dir)) {
      if (!ours(entry)) foreign.push_back((dir / entry).string());
    }
  };
  const auto isShard = [](const std::string& name) { return name.size() == 2 && isLowerHex(name); };
  look("", [](const std::string& name) { return kOurs.contains(name); });
  look("images", isShard);
  look("blobs", [](const std::string& name) { return name == "sha256" || name == "sha512"; });
  for (const auto& [dir, digits] : {std::pair<Path, std::size_t>{"blobs/sha256", 64},
                                    std::pair<Path, std::size_t>{"blobs/sha512", 128}}) {
    look(dir, isShard);
    for (const auto& shard : listDir(layout.dir() / dir)) {
      if (!isShard(shard)) continue;
      look(dir / shard, [&, size = digits](const std::string& name) {
        return name.size() == size && isLowerHex(name) && name.starts_with(shard);
      });
    }
  }
  for (const auto& shard : listDir(layout.imagesDir())) {
    if (!isShard(shard)) continue;
    look(Path("images") / shard, [&](const std::string& name) {
      const auto id = schema::ImageId::tryParse(name);
      return id && id->hex().starts_with(shard);
    });
  }
  return foreign;
}

// A link to a tree that is in neither form there. Rendering makes it again.
void dropBrokenLinks(const StoreReader& reader, const schema::ImageId& id, FsckReport& report) {
  if (!reader.linkedTree(id) || reader.renderedRoot(id) || reader.mountable(id)) return;
  removeTree(reader.layout().treeLink(id));
  report.mended.push_back(id.str() + ": the link to its tree led nowhere and was removed");
}

}  // namespace

FsckReport checkStore(const StoreLayout& layout, const FsckOptions& options) {
  createStore(layout);
  FsckReport report;
  // The long part, without the lock: others go on.
  const StoreReader reader(layout);
  const auto suspects = checkImages(reader, reader.ids(), options.onProgress);

  const FileLock lock = FileLock::acquire(layout.lockFile(), LockMode::exclusive);
  const auto index = openOrReplace(layout, report.indexReplaced);
  IndexFixer fixer(*index, report);
  fixer.expect({{std::string(kFormatKey), std::string(kIndexFormat)}});
  std::vector<std::pair<schema::ImageId, std::string>> bad;
  for (const auto& id : reader.ids()) {
    ++report.images;
    try {
      // Again what was suspect, as it may have been removed or changed meanwhile; of the others
      // what the index is made of.
      if (suspects.contains(id)) {
        if (options.repair) {
          for (auto& line : mendImage(reader, id, inIndex(reader, *index, id)))
            report.mended.push_back(std::move(line));
        }
        checkImage(reader, id);
      }
      fixer.expect(entriesOf(reader, id));
      if (options.repair) dropBrokenLinks(reader, id, report);
    } catch (const Error& error) {
      report.broken.push_back(fmt::format("{}: {}", id.str(), error.what()));
      bad.emplace_back(id, error.what());
    }
  }
  std::vector<std::optional<StoredImage>> records;
  records.reserve(bad.size());
  for (const auto& [id, why] : bad)
    records.push_back(inIndex(reader, *index, id));
  // First nobody finds the bad ones by name, then they go.
  fixer.finish();
  for (std::size_t i = 0; options.repair && i < bad.size(); ++i) {
    auto image = quarantineImage(reader, bad[i].first, records[i], bad[i].second);
    if (image) report.lost.push_back(std::move(*image));
    ++report.quarantined;
  }
  report.metadataDropped = dropBadMetadata(layout);
  report.foreign = foreignFiles(layout);
  return report;
}

}  // namespace actool::cas
