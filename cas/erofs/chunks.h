// How a file whose data is not one piece of the tar is cut into chunks.
//
// EROFS knows one chunk size for a file, a power of two. A chunk is a hole, or a run of blocks.
// What a tar has in whole aligned chunks stays there; a chunk that is partly a hole, or whose
// bytes lie at no block's start, is copied into the image.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "cas/aci_tar.h"

namespace actool::cas::erofs {

struct Extent {
  std::uint64_t offset = 0;  // in the file
  std::uint64_t length = 0;
  std::uint64_t tar = 0;  // where it is stored
};

struct Chunk {
  enum class Kind { hole, mapped, copied };
  Kind kind = Kind::hole;
  std::uint64_t offset = 0;  // in the file
  std::uint64_t length = 0;  // up to the file's end
  std::uint64_t tar = 0;     // of a mapped one
};

// The stored pieces of a regular file in their order, those that touch made one.
std::vector<Extent> extentsOf(const TarEntry& entry);

class ChunkPlan {
 public:
  // With the chunk size that takes the fewest bytes in the image. `size` is not 0.
  ChunkPlan(std::vector<Extent> extents, std::uint64_t size);

  unsigned bits() const { return bits_; }  // a chunk has kBlock << bits() bytes
  std::uint64_t chunks() const { return chunksAt(bits_); }
  std::uint64_t copiedBytes() const { return copied_; }  // whole blocks

  // Every chunk in order.
  void forEach(const std::function<void(const Chunk&)>& take) const;
  const std::vector<Extent>& extents() const { return extents_; }

 private:
  std::uint64_t chunksAt(unsigned bits) const;
  std::uint64_t copiedAt(unsigned bits) const;

  std::vector<Extent> extents_;
  std::uint64_t size_;
  unsigned bits_ = 0;
  std::uint64_t copied_ = 0;
};

}  // namespace actool::cas::erofs
