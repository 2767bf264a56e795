#include <fmt/format.h>

#include <functional>
#include <map>
#include <memory>
#include <unordered_set>

#include "cas/audit_events.h"
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

  // `scope` is scopePrefix() of the namespace that the entries are of.
  void expect(const std::string& scope, const IndexEntries& entries) {
    for (const auto& [name, value] : entries) {
      const std::string key = scope + name;
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
      "version", "lock",     "blobs",   "images",     "trees",      "ingest", "index", "pods",
      "leases",  "fetching", "bundles", "quarantine", "namespaces", "tmp",    "seed"};
  // And what rotation makes of the audit log.
  const auto isLog = [](const std::string& name) { return name.starts_with("audit.log"); };
  static const std::unordered_set<std::string> kOfANamespace = {"images", "pods", "leases",
                                                                "bundles"};
  std::vector<std::string> foreign;
  const auto look = [&](const Path& dir, const std::function<bool(const std::string&)>& ours) {
    for (const auto& entry : listDir(layout.dir() / dir)) {
      if (!ours(entry)) foreign.push_back((dir / entry).string());
    }
  };
  const auto isShard = [](const std::string& name) { return name.size() == 2 && isLowerHex(name); };
  look("", [&](const std::string& name) { return kOurs.contains(name) || isLog(name); });
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
  look("namespaces", [](const std::string& name) {
    const auto ns = NamespaceName::tryParse(name);
    return ns && !ns->isDefault();
  });
  for (const auto& ns : namespacesOf(layout)) {
    const StoreLayout own = layout.in(ns);
    const Path home = own.home().lexically_relative(layout.dir());
    if (!ns.isDefault()) {
      look(home, [](const std::string& name) { return kOfANamespace.contains(name); });
    }
    look(home / "images", isShard);
    for (const auto& shard : listDir(own.imagesDir())) {
      if (!isShard(shard)) continue;
      look(home / "images" / shard, [&](const std::string& name) {
        const auto id = schema::ImageId::tryParse(name);
        return id && id->hex().starts_with(shard);
      });
    }
  }
  return foreign;
}

// A link to a tree that is in neither form there. Rendering makes it again.
void dropBrokenLinks(const StoreReader& reader, const schema::ImageId& id, FsckReport& report) {
  if (!reader.linkedTree(id) || reader.renderedRoot(id) || reader.mountable(id)) return;
  removeTree(reader.layout().treeLink(id));
  report.mended.push_back(id.str() + ": the link to its tree led nowhere and was removed");
}

struct BadImage {
  NamespaceName ns;
  schema::ImageId id;
  std::string why;
  std::optional<StoredImage> record;  // by the index
};

// One namespace, under the store's lock.
class NamespaceCheck {
 public:
  NamespaceCheck(const StoreLayout& layout, Index& whole, const FsckOptions& options,
                 FsckReport& report)
      : reader_(layout), index_(whole, layout.ns()), options_(options), report_(report) {}

  // `suspects` did not pass checkImage() without the lock. What is good is expected of the index.
  void run(const std::map<schema::ImageId, std::string>& suspects, IndexFixer& fixer,
           std::vector<BadImage>& bad) {
    const NamespaceName& ns = reader_.layout().ns();
    for (const auto& id : reader_.ids()) {
      ++report_.images;
      try {
        // Again what was suspect, as it may have been removed or changed meanwhile; of the others
        // what the index is made of.
        if (suspects.contains(id)) {
          if (options_.repair) mend(id);
          checkImage(reader_, id);
        }
        fixer.expect(scopePrefix(ns), entriesOf(reader_, id));
        if (options_.repair) dropBrokenLinks(reader_, id, report_);
      } catch (const Error& error) {
        report_.broken.push_back(fmt::format("{}{}: {}",
                                             ns.isDefault() ? "" : "namespace " + ns.str() + ": ",
                                             id.str(), error.what()));
        bad.push_back({ns, id, error.what(), inIndex(reader_, index_, id)});
      }
    }
  }

 private:
  void mend(const schema::ImageId& id) {
    for (auto& line : mendImage(reader_, id, inIndex(reader_, index_, id)))
      report_.mended.push_back(std::move(line));
  }

  const StoreReader reader_;
  ScopedIndex index_;
  const FsckOptions& options_;
  FsckReport& report_;
};

// The index has the good images only.
void quarantine(const StoreLayout& layout, const Index& whole, const std::vector<BadImage>& bad,
                FsckReport& report) {
  const auto namespaces = namespacesOf(layout);
  const auto isNeeded = [&](const Digest& blob) {
    bool needed = false;
    for (const auto& ns : namespaces) {
      whole.forEach(scopePrefix(ns) + blobPrefix(blob), [&](std::string_view, std::string_view) {
        needed = true;
        return false;
      });
    }
    return needed;
  };
  for (const auto& image : bad) {
    auto lost = quarantineImage(StoreReader(layout.in(image.ns)), image.id, image.record, image.why,
                                isNeeded);
    const auto known = lost ? std::optional(lost->image) : std::nullopt;
    audit(layout.in(image.ns), kImageTool, {removeEvent(image.id, known, "fsck")}, AuditSync::yes);
    if (lost) report.lost.push_back(std::move(*lost));
    ++report.quarantined;
  }
}

}  // namespace

FsckReport checkStore(const StoreLayout& layout, const FsckOptions& options) {
  createStore(layout);
  // The long part, without the lock: others go on.
  std::map<NamespaceName, std::map<schema::ImageId, std::string>> suspects;
  for (const auto& ns : namespacesOf(layout)) {
    const StoreReader reader(layout.in(ns));
    suspects.emplace(ns, checkImages(reader, reader.ids(), options.onProgress));
  }
  const FileLock lock = FileLock::acquire(layout.lockFile(), LockMode::exclusive);
  FsckReport report;
  const auto index = openOrReplace(layout, report.indexReplaced);
  IndexFixer fixer(*index, report);
  fixer.expect("", {{std::string(kFormatKey), std::string(kIndexFormat)}});
  std::vector<BadImage> bad;
  for (const auto& ns : namespacesOf(layout)) {
    NamespaceCheck(layout.in(ns), *index, options, report).run(suspects[ns], fixer, bad);
  }
  // First nobody finds the bad ones by name, then they go.
  fixer.finish();
  if (options.repair) quarantine(layout, *index, bad, report);
  report.metadataDropped = dropBadMetadata(layout);
  report.foreign = foreignFiles(layout);
  return report;
}

}  // namespace actool::cas
