// Volumes of a bundle being written. The same plan makes the same bytes.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cas/aci_writer.h"
#include "cas/bundle/bundle_format.h"
#include "core/base/fs.h"

namespace actool::cas {

// The least that --split takes. A volume has to hold the list of images and a piece.
inline constexpr std::uint64_t kMinSplit = 8 << 20;

struct PlannedSignature {
  Digest piece;
  std::string text;
};

struct BundlePlan {
  ImageList list;
  std::string imagesJson;
  Digest set;
  std::vector<Path> files;                   // as distributed, for each image of the list
  std::vector<PlannedSignature> signatures;  // each once; every volume has them all
  std::vector<ListedPiece> pieces;           // list.pieces()
  std::vector<bool> leftOut;                 // for each piece: the other side has it
  std::vector<std::uint64_t> starts;         // for each volume its first piece

  std::size_t volumes() const { return starts.size(); }
  // One past the last piece of a volume (counted from 0).
  std::size_t endOf(std::size_t volume) const;
};

// Where volumes of at most `limit` bytes begin; one volume without a limit. Looks at all of `plan`
// but its starts. Throws UsageError when not even one piece fits.
std::vector<std::uint64_t> fitVolumes(const BundlePlan& plan, std::optional<std::uint64_t> limit);

// What stands in front of a volume's pieces: the files of actool-bundle/ and the signatures.
std::string volumeHead(const BundlePlan& plan, std::size_t volume);
// Bytes of a volume.
std::uint64_t volumeSize(const BundlePlan& plan, std::size_t volume);
// Writes all of it. Throws Error when a file is not any more what it was when it was planned.
void writeVolume(const BundlePlan& plan, std::size_t volume, ByteSink& sink);

}  // namespace actool::cas
