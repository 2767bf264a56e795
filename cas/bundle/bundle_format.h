// Bundles: images as pieces in plain tar volumes, for machines that no network reaches. This is
// what the files in a volume say; docs/bundle-format.md specifies version 1 of it.
//
// All of it may come from strangers: what parses is consistent in itself, and nothing more is
// known of it. Trust comes with the signature, when an image enters the store.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/digest.h"
#include "core/schema/identifier.h"
#include "core/schema/image_id.h"
#include "core/schema/labels.h"

namespace actool::cas {

// A file as distributed is cut every 4 MiB: the last piece is what is left. Small enough to be
// held in memory and to fill a volume to its edge, large enough for their list to stay short.
inline constexpr std::uint64_t kPieceBytes = 4 << 20;

inline constexpr std::string_view kVolumeFile = "actool-bundle/volume.json";
inline constexpr std::string_view kImagesFile = "actool-bundle/images.json";
inline constexpr std::string_view kSumsFile = "actool-bundle/SHA512SUMS";

struct BundleLimits {
  // Some 120,000 pieces, or 480 GiB of images: what one set may have. It is in every volume, and
  // in memory.
  std::size_t imagesJson = 16 << 20;
  // Some 50,000 volumes.
  std::size_t volumeJson = 1 << 20;
  // Each costs a question to the store, and two of them a comparison.
  std::size_t images = 10'000;
};

// "pieces/<hh>/<hex>", the name of a piece in a volume.
std::string piecePath(const Digest& sha512);
// The other way round; nothing when it is no such name.
std::optional<Digest> parsePiecePath(std::string_view path);

struct BundleSignature {
  Digest piece;  // SHA-512: a signature is one piece
  std::uint64_t size = 0;
};

struct BundleImage {
  schema::ImageId id;
  schema::AcIdentifier name;
  schema::Labels labels;
  std::vector<schema::ImageId> dependencies;  // the direct ones
  Digest distributed;                         // SHA-256 of the file as distributed
  std::uint64_t size = 0;                     // of that file; not 0
  std::vector<Digest> pieces;                 // of it, in order; SHA-512
  std::optional<BundleSignature> signature;   // nothing: never signed

  std::uint64_t pieceSize(std::size_t index) const;
  std::string describe() const;  // "example.com/web:1.0.0 (sha512-3f2c4e...)"
};

// An image on which the set builds and which the other side is said to have.
struct AssumedImage {
  schema::ImageId id;
  schema::AcIdentifier name;
  schema::Labels labels;

  std::string describe() const;
};

// A piece of some file as distributed, where it comes first.
struct ListedPiece {
  Digest digest;
  std::uint64_t size = 0;
  std::size_t image = 0;     // index of the image
  std::uint64_t offset = 0;  // in its file
};

// images.json: all images of a set, each after its dependencies.
struct ImageList {
  std::vector<schema::ImageId> asked;  // the images that were named; the others are dependencies
  std::vector<AssumedImage> assumed;
  std::vector<BundleImage> images;

  // The same list makes the same bytes. Throws Error over the limits.
  std::string dump(const BundleLimits& limits = {}) const;
  // Throws TrustError.
  static ImageList parse(std::string_view text, const BundleLimits& limits = {});

  // Every piece of the files, once, in the order of the images: the order in which volumes have
  // them, and by which VolumeHeader counts.
  std::vector<ListedPiece> pieces() const;
};

// What a set is called: the SHA-512 of its images.json.
Digest setOf(std::string_view imagesJson);

// volume.json
struct VolumeHeader {
  Digest set;
  std::uint64_t volume = 1;           // of starts.size(), counted from 1
  std::vector<std::uint64_t> starts;  // for each volume the index of its first piece; ascending

  std::string dump() const;
  // Throws TrustError.
  static VolumeHeader parse(std::string_view text, const BundleLimits& limits = {});
  // The volume that has the piece of that index, counted from 1.
  std::uint64_t volumeOf(std::uint64_t piece) const;
};

}  // namespace actool::cas
