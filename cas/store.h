// The store as its users see it: reading a state of it, and changing it under its lock.
// docs/store-format.md has the order of every change and why a crash leaves no half of one.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

#include "cas/catalog.h"
#include "cas/index.h"
#include "cas/index_entries.h"
#include "cas/layout.h"
#include "cas/stored_image.h"
#include "core/base/lock.h"

namespace actool::cas {

// One state of the store for reading. Takes no lock. A store that does not exist is empty.
class StoreView {
 public:
  explicit StoreView(const StoreLayout& layout);

  const StoreReader& reader() const { return reader_; }
  const Catalog& catalog() const { return catalog_; }

 private:
  StoreReader reader_;
  std::unique_ptr<IndexReader> index_;
  Catalog catalog_;
};

// Makes the directories and the version file of a store unless they are there, and brings one of
// an older version to the present one (migrate.h); refuses a newer version. One error line when
// the directory can't be written.
void createStore(const StoreLayout& layout);

// The right to change the store: holds its lock (others wait) and the index open for writing.
// To be held for moments, never while bytes are awaited. What a change costs does not depend on
// how many images there are.
class StoreWriter {
 public:
  // Waits for the lock. Completes what a killed process left half done: images whose files and
  // entries may differ are noted in the index (pending/). An index that was lost is made anew
  // from the images' files, which is the one thing here that reads all of them.
  explicit StoreWriter(const StoreLayout& layout);
  StoreWriter(const StoreWriter&) = delete;
  StoreWriter& operator=(const StoreWriter&) = delete;

  const StoreReader& reader() const { return reader_; }
  const StoreLayout& layout() const { return reader_.layout(); }
  const Catalog& catalog() const { return catalog_; }
  const Index& index() const { return *index_; }

  // Moves a file that is on disk already to its name by digest, durably.
  void addBlob(const Path& file, const Digest& digest);
  // Publishes a new image, whose blobs are in place, with its manifest and signature (if any).
  void publish(const StoredImage& image, std::string_view manifest,
               const std::optional<std::string>& signature);
  // Replaces what is known of an image that is there.
  void update(const StoredImage& image);
  // Replaces the signature file too.
  void update(const StoredImage& image, std::string_view signature);
  // Takes the image out, then its blobs unless another image needs them. Works for a broken image
  // too. Its rendered tree is left to gc.
  void remove(const schema::ImageId& id) { remove(std::vector{id}); }
  // Of many at once, with as many flushes as of a few.
  void remove(const std::vector<schema::ImageId>& ids);
  // Moves the images' directories into `target`, by their IDs, and returns the blobs they had;
  // those stay.
  std::vector<Digest> unpublish(std::span<const schema::ImageId> ids, const Path& target);
  // What is known of an image, broken ones included: by the index, else by its image.json.
  std::optional<StoredImage> record(const schema::ImageId& id) const;

 private:
  void finishPending();
  // Notes that the image's files and entries may differ until commit() says otherwise.
  void begin(const schema::ImageId& id);
  void commit(const schema::ImageId& id, IndexBatch batch);
  IndexEntries entriesInIndex(const schema::ImageId& id) const;
  std::vector<std::string> entryKeys(const schema::ImageId& id) const;
  bool isNeeded(const Digest& blob) const;

  FileLock lock_;
  StoreReader reader_;
  std::unique_ptr<Index> index_;
  Catalog catalog_;
};

// Reads image.json; Error when the file, or a blob it needs, is missing or has another size.
StoredImage readWhole(const StoreLayout& layout, const schema::ImageId& id);

// Every entry that the image's files ask for. Error as above, or when the manifest can't be read.
IndexEntries entriesOf(const StoreReader& reader, const schema::ImageId& id);

// Puts the entries of all images into an index that has none, or some of them.
void rebuildIndex(const StoreReader& reader, Index& index);

// The digests ("sha512:...") of the blobs of all images.
std::unordered_set<std::string> neededBlobs(const StoreWriter& writer);

}  // namespace actool::cas
