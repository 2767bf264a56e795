// What came of bundles that are not complete yet: bundles/ of the namespace.
//
//   bundles/                           its flock is held by the one import that works here
//   bundles/sets/<set>/images.json     of a set some image of which is not in the store
//   bundles/sets/<set>/volume.json     of the volume of it that came last
//   bundles/pieces/<hh>/<hex>          pieces, whichever set they came with
//   bundles/new                        the piece that is being written
//
// Nothing here is trusted: pieces are held against their digests again when they are used, so
// they need no fsync of their own, and images against their signatures when they enter the store.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cas/bundle/bundle_format.h"
#include "cas/layout.h"
#include "core/base/lock.h"

namespace actool::cas {

struct PendingSet {
  VolumeHeader header;  // of some volume of it
  ImageList list;
};

class BundleScratch {
 public:
  // Waits while another process imports; `waiting` is called once then. The store has to exist.
  BundleScratch(const StoreLayout& layout, const std::function<void()>& waiting);
  // Nothing when an import works there, or there is no scratch.
  static std::optional<BundleScratch> tryOpen(const StoreLayout& layout);

  void putSet(const VolumeHeader& header, std::string_view imagesJson);
  // Those that can be read; others are garbage, which keepOnly() removes.
  std::vector<PendingSet> sets() const;
  // Whether there are sets besides this one.
  bool hasOtherThan(const Digest& set) const;
  bool isEmpty() const;

  bool has(const Digest& piece, std::uint64_t size) const;
  void putPiece(const Digest& piece, std::span<const std::byte> bytes) const;
  // The piece's bytes. Nothing when it is not there, or not any more what it was: it is removed
  // then.
  std::optional<std::string> piece(const Digest& digest, std::uint64_t size) const;
  void removePiece(const Digest& piece) const;

  // Removes every piece that no image needs for which `needs` is true, and every set without such
  // an image. Returns the bytes.
  std::uint64_t keepOnly(
      const std::function<bool(const Digest& set, const BundleImage&)>& needs) const;
  // Removes sets to which nothing was added since `limit`, and what only they need.
  std::uint64_t removeOlder(std::chrono::system_clock::time_point limit) const;
  // What is there survives a power cut from now on.
  void sync() const;

 private:
  BundleScratch(Path dir, FileLock lock) : dir_(std::move(dir)), lock_(std::move(lock)) {}

  Path setDir(const Digest& set) const { return dir_ / "sets" / set.hex(); }
  Path pieceFile(const Digest& piece) const { return dir_ / piecePath(piece); }

  Path dir_;
  FileLock lock_;
};

// The pieces that are there, without a lock: for `bundle want`.
std::set<Digest> heldPieces(const StoreLayout& layout);

// For `image gc`: removes what nothing was added to since `limit`, unless an import works there.
// Returns the bytes.
std::uint64_t collectBundles(const StoreLayout& layout,
                             std::chrono::system_clock::time_point limit);

}  // namespace actool::cas
