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
#include "cas/index_scope.h"
#include "cas/layout.h"
#include "cas/stored_image.h"
#include "core/base/lock.h"

namespace actool::cas {

// An image of some namespace.
struct NamespacedImage {
  NamespaceName ns;
  StoredImage image;
};

// One state of a namespace for reading. Takes no lock. A store that does not exist is empty.
class StoreView {
 public:
  explicit StoreView(const StoreLayout& layout);
  StoreView(const StoreView&) = delete;
  StoreView& operator=(const StoreView&) = delete;

  const StoreReader& reader() const { return reader_; }
  const Catalog& catalog() const { return catalog_; }
  // As Catalog::bySignature(), of this namespace first and then of all others. What is found is
  // not for the eyes of this namespace until its own keys have said so (ingest.cc).
  std::vector<NamespacedImage> bySignatureAnywhere(const Digest& sha256) const;

 private:
  StoreReader reader_;
  std::unique_ptr<IndexReader> whole_;
  ScopedReader index_;
  Catalog catalog_;
};

// Makes the directories and the version file of a store, and those of the namespace, unless they
// are there, and brings a store of an older version to the present one (migrate.h); refuses a newer
// version. One error line when
// the directory can't be written.
void createStore(const StoreLayout& layout);

// The right to change a namespace: holds the store's lock (others wait, whichever namespace they
// are for) and the index open for writing.
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
  // The namespace's entries.
  const Index& index() const { return index_; }
  const Index& wholeIndex() const { return *whole_; }
  // All namespaces of the store. While this object lives no image comes to another one.
  const std::vector<NamespaceName>& namespaces() const { return namespaces_; }

  // Moves a file that is on disk already to its name by digest, durably.
  void addBlob(const Path& file, const Digest& digest);
  // Publishes a new image, whose blobs are in place, with its manifest and signature (if any).
  // `result` is importEvent()'s, for the audit log.
  void publish(const StoredImage& image, std::string_view manifest,
               const std::optional<std::string>& signature, std::string_view result = "new");
  // Replaces what is known of an image that is there.
  void update(const StoredImage& image);
  // Replaces the signature file too.
  void update(const StoredImage& image, std::string_view signature);
  // Takes the image out, then its blobs unless another image, of any namespace, needs them. Works
  // for a broken image too. Its rendered tree is left to gc. `by` is for the audit log: "rm" or
  // "gc".
  void remove(const schema::ImageId& id, std::string_view by = "rm") {
    remove(std::vector{id}, by);
  }
  // Of many at once, with as many flushes as of a few.
  void remove(const std::vector<schema::ImageId>& ids, std::string_view by = "rm");
  // What is known of an image, broken ones included: by the index, else by its image.json.
  std::optional<StoredImage> record(const schema::ImageId& id) const;
  // Whether an image that is in the index is made of that blob: of any namespace, or of any other
  // than this one.
  bool isNeeded(const Digest& blob) const;
  bool isNeededElsewhere(const Digest& blob) const;

 private:
  // Moves the images' directories into `target`, by their IDs, and returns the blobs they had;
  // those stay.
  std::vector<Digest> unpublish(std::span<const schema::ImageId> ids, const Path& target,
                                std::string_view by);
  void finishPending(const NamespaceName& ns);
  // Notes that the image's files and entries may differ until commit() says otherwise.
  void begin(const schema::ImageId& id);
  void commit(const schema::ImageId& id, IndexBatch batch);
  IndexEntries entriesInIndex(const schema::ImageId& id) const;
  std::vector<std::string> entryKeys(const schema::ImageId& id,
                                     const std::optional<StoredImage>& indexed) const;

  FileLock lock_;
  StoreReader reader_;
  std::unique_ptr<Index> whole_;
  ScopedIndex index_;
  Catalog catalog_;
  std::vector<NamespaceName> namespaces_;
};

// Reads image.json; Error when the file, or a blob it needs, is missing or has another size.
StoredImage readWhole(const StoreLayout& layout, const schema::ImageId& id);

// Every entry that the image's files ask for. Error as above, or when the manifest can't be read.
IndexEntries entriesOf(const StoreReader& reader, const schema::ImageId& id);

// Puts the entries of all images of all namespaces into an index, the whole one, that has none or
// some of them.
void rebuildIndex(const StoreLayout& layout, Index& whole);

// The digests ("sha512:...") of the blobs of all images of all namespaces.
std::unordered_set<std::string> neededBlobs(const StoreWriter& writer);

}  // namespace actool::cas
