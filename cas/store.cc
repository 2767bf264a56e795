#include "cas/store.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <set>

#include "cas/audit_events.h"
#include "cas/migrate.h"
#include "core/base/error.h"
#include "core/base/fs.h"
#include "core/base/log.h"

namespace actool::cas {

namespace {

// Entries that are written at once when all are: some hundred kB.
constexpr std::size_t kRebuildBatch = 1000;
// Images whose removal is one change of the index.
constexpr std::size_t kRemovedAtOnce = 256;

// Makes `dir` below the store, and its name durable in its parent when it is new.
void makeDurableDir(const Path& dir) {
  if (actool::exists(dir)) return;
  makeDirs(dir);
  syncDir(dir.parent_path());
  syncDir(dir.parent_path().parent_path());
}

// Durably: the index may soon say that there are images in it.
void makeNamespace(const StoreLayout& layout) {
  if (actool::exists(layout.imagesDir())) return;
  withContext("creating " + layout.describe(), [&] {
    makeDirs(layout.imagesDir());
    for (Path dir = layout.home(); dir != layout.dir(); dir = dir.parent_path())
      syncDir(dir);
    syncDir(layout.dir());
  });
}

void checkSize(const Path& file, std::uint64_t size) {
  struct stat info {};
  if (::stat(file.c_str(), &info) != 0) throwErrno("looking at " + file.string());
  if (static_cast<std::uint64_t>(info.st_size) != size) {
    throw Error(fmt::format("{} has {} bytes instead of {}", file.string(), info.st_size, size));
  }
}

bool has(const IndexReader& index, std::string_view prefix) {
  bool found = false;
  index.forEach(prefix, [&](std::string_view, std::string_view) {
    found = true;
    return false;
  });
  return found;
}

// What is known of an image, by the index, else by its own file, when either can be read.
std::optional<StoredImage> recordIn(const StoreReader& reader, const Catalog& catalog,
                                    const schema::ImageId& id) {
  if (auto known = catalog.find(id)) return known;
  try {
    const Path file = reader.layout().imageFile(id);
    const auto text = tryReadFile(file, JsonLimits{}.bytes);
    if (text) return StoredImage::parse(*text, file.string());
  } catch (const Error& error) {
    // Only fsck may judge a broken image. That its file as distributed counts as nobody's
    // costs a download at worst.
    log::debug("{}", error.what());
  }
  return std::nullopt;
}

}  // namespace

void createStore(const StoreLayout& layout) {
  // Refuses a newer version before anything is touched.
  const StoreReader check(layout);
  if (check.version() && check.version() != kStoreVersion) migrateStore(layout);
  if (check.version()) {
    makeNamespace(layout);
    return;
  }
  withContext(fmt::format("creating the store {}", layout.dir().string()), [&] {
    for (const Path& dir :
         {layout.in({}).imagesDir(), layout.dir() / "blobs/sha256", layout.dir() / "blobs/sha512",
          layout.treesDir(), layout.ingestDir(), layout.tmpDir()}) {
      makeDirs(dir);
    }
    const FileLock lock = FileLock::acquire(layout.lockFile(), LockMode::exclusive);
    syncDir(layout.dir() / "blobs");
    writeFileAtomic(layout.versionFile(), formatVersion(kStoreVersion));
  });
  makeNamespace(layout);
}

StoredImage readWhole(const StoreLayout& layout, const schema::ImageId& id) {
  const Path file = layout.imageFile(id);
  StoredImage image = StoredImage::parse(readFile(file, JsonLimits{}.bytes), file.string());
  if (image.id != id) {
    throw Error(fmt::format("{} is of another image, {}", file.string(), image.id.shortForm()));
  }
  checkSize(layout.tarBlob(id), image.tarSize);
  if (image.distributed.kept) {
    checkSize(layout.blob(image.distributedBlob()), image.distributed.size);
  }
  return image;
}

IndexEntries entriesOf(const StoreReader& reader, const schema::ImageId& id) {
  IndexEntries entries = recordEntries(readWhole(reader.layout(), id));
  entries.merge(dependencyEntries(id, reader.manifest(id).dependencies));
  return entries;
}

void rebuildIndex(const StoreLayout& layout, Index& whole) {
  IndexBatch batch;
  for (const auto& ns : namespacesOf(layout)) {
    const StoreReader reader(layout.in(ns));
    const std::string scope = scopePrefix(ns);
    for (const auto& id : reader.ids()) {
      try {
        for (auto& [key, value] : entriesOf(reader, id))
          batch.put(scope + key, value);
      } catch (const Error& error) {
        log::warn("image {} is left out of the index: {}; 'actool image fsck' tells more",
                  id.shortForm(), error.what());
      }
      if (batch.changes.size() < kRebuildBatch) continue;
      whole.commit(batch);
      batch = {};
    }
  }
  // Only now: until then the next writer begins again.
  batch.put(std::string(kFormatKey), std::string(kIndexFormat));
  whole.commit(batch);
  whole.settle();
}

StoreWriter::StoreWriter(const StoreLayout& layout)
    : lock_((createStore(layout), FileLock::acquire(layout.lockFile(), LockMode::exclusive))),
      reader_(layout),
      whole_(openIndex(layout.indexDir())),
      index_(*whole_, layout.ns()),
      catalog_(reader_, index_),
      namespaces_(namespacesOf(layout)) {
  if (whole_->get(kFormatKey) != kIndexFormat) {
    rebuildIndex(layout, *whole_);
    return;
  }
  // Of all: until its entries are there, nothing says that an image needs its blobs.
  for (const auto& ns : namespaces_)
    finishPending(ns);
}

void StoreWriter::begin(const schema::ImageId& id) {
  IndexBatch batch;
  batch.put(pendingKey(id), "");
  index_.commit(batch);
}

void StoreWriter::commit(const schema::ImageId& id, IndexBatch batch) {
  batch.remove(pendingKey(id));
  index_.commit(batch);
}

// Those of the image's record; what its manifest asks for never changes.
IndexEntries StoreWriter::entriesInIndex(const schema::ImageId& id) const {
  const auto known = catalog_.find(id);
  return known ? recordEntries(*known) : IndexEntries{};
}

void StoreWriter::finishPending(const NamespaceName& ns) {
  const StoreReader reader(layout().in(ns));
  ScopedIndex index(*whole_, ns);
  const Catalog catalog(reader, index);
  std::vector<schema::ImageId> pending;
  index.forEach(kPendingPrefix, [&](std::string_view key, std::string_view) {
    if (auto id = schema::ImageId::tryParse(key.substr(kPendingPrefix.size()))) {
      pending.push_back(std::move(*id));
    }
    return true;
  });
  for (const auto& id : pending) {
    IndexBatch batch;
    if (const auto known = catalog.find(id)) {
      for (auto& [key, value] : recordEntries(*known))
        batch.remove(key);
    }
    try {
      if (reader.has(id)) {
        for (auto& [key, value] : entriesOf(reader, id))
          batch.put(key, value);
      }
    } catch (const Error& error) {
      log::warn("image {} is left out of the index: {}; 'actool image fsck' tells more",
                id.shortForm(), error.what());
    }
    audit(reader.layout(), kImageTool, {recoverEvent(id, reader.has(id))}, AuditSync::yes);
    batch.remove(pendingKey(id));
    index.commit(batch);
  }
}

void StoreWriter::addBlob(const Path& file, const Digest& digest) {
  const Path blob = layout().blob(digest);
  makeDurableDir(blob.parent_path());
  // Over one that is there: the bytes are the same, unless it was damaged and this heals it.
  if (::rename(file.c_str(), blob.c_str()) != 0) {
    throwErrno(fmt::format("renaming {} to {}", file.string(), blob.string()));
  }
  syncDir(blob.parent_path());
}

void StoreWriter::publish(const StoredImage& image, std::string_view manifest,
                          const std::optional<std::string>& signature, std::string_view result) {
  makeDirs(layout().tmpDir());
  TempDir made(layout().tmpDir(), "image.");
  if (::chmod(made.path().c_str(), 0755) != 0) throwErrno("chmod " + made.path().string());
  writeFileAtomic(made.path() / "manifest", manifest);
  if (signature) writeFileAtomic(made.path() / "signature.asc", *signature);
  writeFileAtomic(made.path() / "image.json", dumpPretty(image.toJson()));

  IndexBatch batch;
  for (auto& [key, value] : recordEntries(image))
    batch.put(key, value);
  const auto parsed = schema::ImageManifest::parse(manifest, "manifest of " + image.id.shortForm());
  for (auto& [key, value] : dependencyEntries(image.id, parsed.dependencies))
    batch.put(key, value);

  const Path dir = layout().imageDir(image.id);
  makeDurableDir(dir.parent_path());
  begin(image.id);
  // The point of no return: with this name the image is whole and there for everybody who
  // knows its ID. A crash from here on only loses the index entries, which the next
  // writer puts back.
  if (!renameNoReplace(made.path(), dir)) {
    throw Error(fmt::format("{} is there already", dir.string()), "run 'actool image fsck'");
  }
  made.release();
  syncDir(dir.parent_path());
  // Before the image stops being noted as pending: killed in between, the log has "recover" for it.
  audit(layout(), kImageTool, {importEvent(image, result)}, AuditSync::yes);
  commit(image.id, std::move(batch));
}

void StoreWriter::update(const StoredImage& image) {
  // Killed in between, the next writer makes the entries what the file then says.
  begin(image.id);
  writeFileAtomic(layout().imageFile(image.id), dumpPretty(image.toJson()));
  IndexBatch batch;
  // A source that is forgotten, or a signature that is replaced, leaves no entry behind.
  for (auto& [key, value] : entriesInIndex(image.id))
    batch.remove(key);
  for (auto& [key, value] : recordEntries(image))
    batch.put(key, value);
  commit(image.id, std::move(batch));
}

void StoreWriter::update(const StoredImage& image, std::string_view signature) {
  writeFileAtomic(layout().signatureFile(image.id), signature);
  update(image);
}

void StoreWriter::remove(const std::vector<schema::ImageId>& ids, std::string_view by) {
  makeDirs(layout().tmpDir());
  for (std::size_t done = 0; done < ids.size(); done += kRemovedAtOnce) {
    const std::size_t count = std::min(kRemovedAtOnce, ids.size() - done);
    const TempDir trash(layout().tmpDir(), "removed.");
    for (const Digest& blob : unpublish(std::span(ids).subspan(done, count), trash.path(), by)) {
      if (!isNeeded(blob)) removeTree(layout().blob(blob));
    }
  }
}

std::vector<Digest> StoreWriter::unpublish(std::span<const schema::ImageId> ids, const Path& target,
                                           std::string_view by) {
  std::vector<AuditEvent> events;
  IndexBatch begun;
  IndexBatch done;
  std::vector<Digest> blobs;
  for (const auto& id : ids) {
    begun.put(pendingKey(id), "");
    done.remove(pendingKey(id));
    const auto indexed = catalog_.find(id);
    for (const std::string& key : entryKeys(id, indexed))
      begun.remove(key);
    const auto known = indexed ? indexed : record(id);
    events.push_back(removeEvent(id, known, by));
    const auto its = known ? blobsOf(*known) : std::vector{id.tarDigest()};
    blobs.insert(blobs.end(), its.begin(), its.end());
  }
  index_.commit(begun);

  // Each in one rename: nobody finds half an image. Killed before it, the next writer puts the
  // entries back; after it, gc removes what is left.
  std::set<Path> parents;
  for (const auto& id : ids) {
    const Path dir = layout().imageDir(id);
    if (!renameNoReplace(dir, target / id.str())) {
      throw Error(fmt::format("moving {} out of the way: it is in {} already", dir.string(),
                              target.string()));
    }
    parents.insert(dir.parent_path());
  }
  for (const Path& parent : parents)
    syncDir(parent);
  audit(layout(), kImageTool, events, AuditSync::yes);
  index_.commit(done);
  return blobs;
}

std::optional<StoredImage> StoreWriter::record(const schema::ImageId& id) const {
  return recordIn(reader_, catalog_, id);
}

std::vector<std::string> StoreWriter::entryKeys(const schema::ImageId& id,
                                                const std::optional<StoredImage>& indexed) const {
  std::vector<std::string> keys;
  const auto add = [&](const IndexEntries& entries) {
    for (const auto& [key, value] : entries)
      keys.push_back(key);
  };
  try {
    if (indexed) add(recordEntries(*indexed));
    add(dependencyEntries(id, reader_.manifest(id).dependencies));
    if (!keys.empty()) return keys;
  } catch (const Error& error) {
    log::debug("{}", error.what());
  }
  // The manifest of a broken image can't be read, so that all entries are looked through.
  const std::string suffix = '\0' + id.str();
  index_.forEach("", [&](std::string_view key, std::string_view) {
    if (key == imageKey(id) || key.ends_with(suffix)) keys.emplace_back(key);
    return true;
  });
  return keys;
}

bool StoreWriter::isNeeded(const Digest& blob) const {
  return has(index_, blobPrefix(blob)) || isNeededElsewhere(blob);
}

bool StoreWriter::isNeededElsewhere(const Digest& blob) const {
  return std::any_of(namespaces_.begin(), namespaces_.end(), [&](const NamespaceName& ns) {
    return ns != layout().ns() && has(*whole_, scopePrefix(ns) + blobPrefix(blob));
  });
}

std::unordered_set<std::string> neededBlobs(const StoreWriter& writer) {
  std::unordered_set<std::string> needed;
  for (const auto& ns : writer.namespaces()) {
    const StoreReader reader(writer.layout().in(ns));
    const ScopedReader index(writer.wholeIndex(), ns);
    std::unordered_set<std::string> its;
    index.forEach(kBlobPrefix, [&](std::string_view key, std::string_view) {
      its.emplace(middleOf(key));
      return true;
    });
    // Images that are broken, and therefore not in the index, keep what they have.
    for (const auto& id : reader.ids()) {
      if (!its.insert(id.tarDigest().str()).second) continue;
      if (const auto image = recordIn(reader, Catalog(reader, index), id)) {
        for (const Digest& blob : blobsOf(*image))
          its.insert(blob.str());
      }
    }
    needed.merge(its);
  }
  return needed;
}

}  // namespace actool::cas
