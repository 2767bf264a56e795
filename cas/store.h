// The store as its users see it: reading a state of it, and changing it under its lock.
// docs/store-format.md has the order of every change and why a crash leaves no half of one.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cas/catalog.h"
#include "cas/index.h"
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

// Makes the directories and the version file of a store unless they are there; refuses an
// unknown version. One error line when the directory can't be written.
void createStore(const StoreLayout& layout);

// The right to change the store: holds its lock (others wait) and the index open for writing.
// To be held for moments, never while bytes are awaited.
class StoreWriter {
 public:
  // Waits for the lock. Images whose directory is in place but not their index entry (their
  // process was killed between the two) are put into the index first.
  explicit StoreWriter(const StoreLayout& layout);
  StoreWriter(const StoreWriter&) = delete;
  StoreWriter& operator=(const StoreWriter&) = delete;

  const StoreReader& reader() const { return reader_; }
  const StoreLayout& layout() const { return reader_.layout(); }
  const Catalog& catalog() const { return catalog_; }
  Index& index() { return *index_; }

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
  void remove(const schema::ImageId& id);

 private:
  void adoptOrphans();

  FileLock lock_;
  StoreReader reader_;
  std::unique_ptr<Index> index_;
  Catalog catalog_;
};

// Index entries of `image` and nothing else; for rebuilding.
void putEntries(IndexBatch& batch, const StoredImage& image);

// The blobs an image is made of, by what `imageFile` (its image.json) says of it.
std::vector<Path> blobsOf(const StoreLayout& layout, const schema::ImageId& id,
                          const Path& imageFile);
// The blobs of all images.
std::set<Path> neededBlobs(const StoreReader& reader);

// Reads image.json; Error when the file, or a blob it needs, is missing or has another size.
StoredImage readWhole(const StoreLayout& layout, const schema::ImageId& id);

}  // namespace actool::cas
