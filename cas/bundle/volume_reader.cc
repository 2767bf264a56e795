#include "cas/bundle/volume_reader.h"

#include <fmt/format.h>

#include <optional>
#include <unordered_map>
#include <vector>

#include "cas/aci_tar.h"
#include "core/base/error.h"
#include "core/base/strings.h"

namespace actool::cas {

namespace {

// The longest name in a volume has 138 bytes, and nothing in it is sparse.
constexpr TarLimits kTarLimits{.path = 255, .extendedHeader = 16 << 10, .sparsePieces = 1};

class Reader {
 public:
  Reader(AciSource& source, VolumeVisitor& visitor, const BundleLimits& limits)
      : tar_(source, kTarLimits), visitor_(visitor), limits_(limits) {}

  void run() {
    const std::string headerText = smallFile(kVolumeFile, limits_.volumeJson);
    const VolumeHeader header = VolumeHeader::parse(headerText, limits_);
    const std::string imagesJson = smallFile(kImagesFile, limits_.imagesJson);
    if (setOf(imagesJson) != header.set) {
      throw TrustError(fmt::format("its {} is not the one of set {}...", kImagesFile,
                                   header.set.hex().substr(0, 12)));
    }
    const ImageList list = ImageList::parse(imagesJson, limits_);
    noteSizes(list);
    visitor_.begin(header, list, imagesJson);
    // Whoever unpacks a volume checks it with this; we look at each piece anyway.
    nextEntry(kSumsFile);
    while (const auto entry = tar_.next())
      onePiece(*entry);
    tar_.finish();
    if (damaged_ != 0) {
      throw TrustError(fmt::format("{} of its pieces {} damaged, {} first", damaged_,
                                   damaged_ == 1 ? "is" : "are", firstDamaged_),
                       "import a good copy of the volume");
    }
  }

 private:
  struct Known {
    std::uint64_t size;
    bool isSignature;
  };

  TarEntry nextEntry(std::string_view path) {
    auto entry = tar_.next();
    if (!entry || entry->path != path) {
      throw TrustError(fmt::format("this is no volume of a bundle: there is {} instead of {}",
                                   entry ? "'" + printable(entry->path, 60) + "'" : "nothing",
                                   path));
    }
    requirePlain(*entry);
    return std::move(*entry);
  }

  static void requirePlain(const TarEntry& entry) {
    if (entry.type == TarType::regular && !entry.sparse) return;
    throw TrustError(fmt::format("'{}' is no plain file", printable(entry.path, 160)));
  }

  std::string smallFile(std::string_view path, std::size_t limit) {
    const TarEntry entry = nextEntry(path);
    if (entry.size > limit) {
      throw TrustError(fmt::format("{} has {}; {} is the limit", path, formatByteSize(entry.size),
                                   formatByteSize(limit)));
    }
    return body(entry);
  }

  std::string body(const TarEntry& entry) {
    std::string bytes;
    bytes.reserve(static_cast<std::size_t>(entry.size));
    for (auto chunk = tar_.data(); !chunk.empty(); chunk = tar_.data())
      bytes.append(reinterpret_cast<const char*>(chunk.data()), chunk.size());
    return bytes;
  }

  void noteSizes(const ImageList& list) {
    for (const auto& image : list.images) {
      for (std::size_t i = 0; i < image.pieces.size(); ++i) {
        known_.emplace(image.pieces[i].hex(), Known{image.pieceSize(i), false});
      }
      if (image.signature) {
        known_.insert_or_assign(image.signature->piece.hex(), Known{image.signature->size, true});
      }
    }
  }

  void onePiece(const TarEntry& entry) {
    const auto digest = parsePiecePath(entry.path);
    const auto known = digest ? known_.find(digest->hex()) : known_.end();
    if (known == known_.end()) {
      throw TrustError(fmt::format("'{}' does not belong into it", printable(entry.path, 160)));
    }
    requirePlain(entry);
    if (entry.size != known->second.size) {
      throw TrustError(
          fmt::format("{} has {} bytes instead of {}", entry.path, entry.size, known->second.size));
    }
    if (!visitor_.wants(*digest, known->second.isSignature)) return;
    const std::string bytes = body(entry);
    if (digestOf(DigestAlgorithm::sha512, bytes) != *digest) {
      if (damaged_++ == 0) firstDamaged_ = entry.path;
      return;
    }
    visitor_.piece(*digest, std::as_bytes(std::span(bytes)));
  }

  TarReader tar_;
  VolumeVisitor& visitor_;
  const BundleLimits& limits_;
  std::unordered_map<std::string, Known> known_;  // by hex
  std::uint64_t damaged_ = 0;
  std::string firstDamaged_;
};

}  // namespace

void readVolume(AciSource& source, VolumeVisitor& visitor, const BundleLimits& limits) {
  Reader(source, visitor, limits).run();
}

}  // namespace actool::cas
