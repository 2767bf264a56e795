#include "cas/store.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cstdio>
#include <set>

#include "core/base/error.h"
#include "core/base/fs.h"
#include "core/base/log.h"

namespace actool::cas {

namespace {

// Makes `dir` below the store, and its name durable in its parent when it is new.
void makeDurableDir(const Path& dir) {
  if (actool::exists(dir)) return;
  makeDirs(dir);
  syncDir(dir.parent_path());
  syncDir(dir.parent_path().parent_path());
}

void checkSize(const Path& file, std::uint64_t size) {
  struct stat info {};
  if (::stat(file.c_str(), &info) != 0) throwErrno("looking at " + file.string());
  if (static_cast<std::uint64_t>(info.st_size) != size) {
    throw Error(fmt::format("{} has {} bytes instead of {}", file.string(), info.st_size, size));
  }
}

}  // namespace

StoreView::StoreView(const StoreLayout& layout)
    : reader_(layout), index_(openIndexForReading(layout.indexDir())), catalog_(reader_, *index_) {}

void createStore(const StoreLayout& layout) {
  // Refuses an unknown version before anything is touched.
  const StoreReader check(layout);
  if (actool::exists(layout.versionFile())) return;
  withContext(fmt::format("creating the store {}", layout.dir().string()), [&] {
    for (const Path& dir :
         {layout.imagesDir(), layout.dir() / "blobs/sha256", layout.dir() / "blobs/sha512",
          layout.treesDir(), layout.ingestDir(), layout.tmpDir()}) {
      makeDirs(dir);
    }
    const FileLock lock = FileLock::acquire(layout.lockFile(), LockMode::exclusive);
    syncDir(layout.dir() / "blobs");
    writeFileAtomic(layout.versionFile(), kStoreVersion);
  });
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

void putEntries(IndexBatch& batch, const StoredImage& image) {
  batch.put(imageKey(image.id), dumpLine(image.toJson()));
  batch.put(nameKey(image.name, image.id), "");
  if (image.signature) batch.put(signatureKey(image.signature->digest, image.id), "");
  for (const auto& source : image.sources)
    batch.put(sourceKey(source.url), image.id.str());
}

StoreWriter::StoreWriter(const StoreLayout& layout)
    : lock_((createStore(layout), FileLock::acquire(layout.lockFile(), LockMode::exclusive))),
      reader_(layout),
      index_(openIndex(layout.indexDir())),
      catalog_(reader_, *index_) {
  adoptOrphans();
}

void StoreWriter::adoptOrphans() {
  std::set<std::string> known;
  index_->forEach(kImagePrefix, [&](std::string_view key, std::string_view) {
    known.emplace(key.substr(kImagePrefix.size()));
    return true;
  });
  IndexBatch batch;
  for (const auto& id : reader_.ids()) {
    if (known.contains(id.str())) continue;
    try {
      putEntries(batch, readWhole(layout(), id));
    } catch (const Error& error) {
      log::warn("image {} is left out of the index: {}; 'actool image fsck' tells more",
                id.shortForm(), error.what());
    }
  }
  if (!batch.empty()) index_->commit(batch);
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
                          const std::optional<std::string>& signature) {
  makeDirs(layout().tmpDir());
  TempDir made(layout().tmpDir(), "image.");
  if (::chmod(made.path().c_str(), 0755) != 0) throwErrno("chmod " + made.path().string());
  writeFileAtomic(made.path() / "manifest", manifest);
  if (signature) writeFileAtomic(made.path() / "signature.asc", *signature);
  writeFileAtomic(made.path() / "image.json", dumpPretty(image.toJson()));

  const Path dir = layout().imageDir(image.id);
  makeDurableDir(dir.parent_path());
  // The point of no return: with this name the image is whole and there for everybody who
  // knows its ID. A crash from here on only loses the index entries, which the next
  // writer puts back.
  if (!renameNoReplace(made.path(), dir)) {
    throw Error(fmt::format("{} is there already", dir.string()), "run 'actool image fsck'");
  }
  made.release();
  syncDir(dir.parent_path());

  IndexBatch batch;
  putEntries(batch, image);
  index_->commit(batch);
}

void StoreWriter::update(const StoredImage& image) {
  writeFileAtomic(layout().imageFile(image.id), dumpPretty(image.toJson()));
  IndexBatch batch;
  // A source that is forgotten, or a signature that is replaced, leaves no entry behind.
  if (const auto old = catalog_.find(image.id)) {
    if (old->signature) batch.remove(signatureKey(old->signature->digest, image.id));
  }
  putEntries(batch, image);
  index_->commit(batch);
}

void StoreWriter::update(const StoredImage& image, std::string_view signature) {
  writeFileAtomic(layout().signatureFile(image.id), signature);
  update(image);
}

void StoreWriter::remove(const schema::ImageId& id) {
  // Found by looking through all entries: this also takes out an image whose image.json can't be
  // read.
  IndexBatch batch;
  const std::string suffix = '\0' + id.str();
  index_->forEach("", [&](std::string_view key, std::string_view value) {
    if (key == imageKey(id) || key.ends_with(suffix) || value == id.str()) {
      batch.remove(std::string(key));
    }
    return true;
  });
  index_->commit(batch);

  // In one rename: nobody finds half an image. Killed before it, the image is adopted again,
  // whole; after it, gc removes what is left.
  makeDirs(layout().tmpDir());
  const TempDir trash(layout().tmpDir(), "removed.");
  const Path dir = layout().imageDir(id);
  if (!renameNoReplace(dir, trash.path() / "image")) {
    throw Error("moving " + dir.string() + " out of the way: the target exists");
  }
  syncDir(dir.parent_path());

  const std::set<Path> needed = neededBlobs(reader_);
  for (const Path& blob : blobsOf(layout(), id, trash.path() / "image/image.json")) {
    if (!needed.contains(blob)) removeTree(blob);
  }
}

std::vector<Path> blobsOf(const StoreLayout& layout, const schema::ImageId& id,
                          const Path& imageFile) {
  std::vector<Path> blobs{layout.tarBlob(id)};
  try {
    const auto text = tryReadFile(imageFile, JsonLimits{}.bytes);
    if (!text) return blobs;
    const StoredImage image = StoredImage::parse(*text, imageFile.string());
    if (image.distributed.kept) blobs.push_back(layout.blob(image.distributedBlob()));
  } catch (const Error& error) {
    // Only fsck may judge a broken image. That its file as distributed counts as nobody's
    // costs a download at worst.
    log::debug("{}", error.what());
  }
  return blobs;
}

std::set<Path> neededBlobs(const StoreReader& reader) {
  std::set<Path> needed;
  for (const auto& id : reader.ids()) {
    for (auto& blob : blobsOf(reader.layout(), id, reader.layout().imageFile(id))) {
      needed.insert(std::move(blob));
    }
  }
  return needed;
}

}  // namespace actool::cas
