#include "cas/erofs/chunks.h"

#include <algorithm>
#include <utility>

#include "cas/erofs/format.h"

namespace actool::cas::erofs {

namespace {

// Chunks keep their place in a block when they stay in the tar.
bool aligned(const Extent& extent) {
  return extent.offset % kBlock == extent.tar % kBlock;
}

}  // namespace

std::vector<Extent> extentsOf(const TarEntry& entry) {
  std::vector<Extent> extents;
  if (!entry.sparse) {
    if (entry.size > 0) extents.push_back({0, entry.size, entry.dataOffset});
    return extents;
  }
  std::uint64_t tar = entry.dataOffset;
  for (const SparsePiece& piece : entry.pieces) {
    if (!extents.empty() && extents.back().offset + extents.back().length == piece.offset) {
      extents.back().length += piece.length;
    } else {
      extents.push_back({piece.offset, piece.length, tar});
    }
    tar += piece.length;
  }
  return extents;
}

ChunkPlan::ChunkPlan(std::vector<Extent> extents, std::uint64_t size)
    : extents_(std::move(extents)), size_(size) {
  std::uint64_t best = ~std::uint64_t{0};
  for (unsigned bits = 0; bits <= kMaxChunkBits; ++bits) {
    const std::uint64_t copied = copiedAt(bits);
    const std::uint64_t cost = copied + sizeof(U32) * chunksAt(bits);
    if (cost <= best) {
      best = cost;
      bits_ = bits;
      copied_ = copied;
    }
    if (chunksAt(bits) == 1) break;
  }
}

std::uint64_t ChunkPlan::chunksAt(unsigned bits) const {
  return (size_ - 1) / (kBlock << bits) + 1;
}

std::uint64_t ChunkPlan::copiedAt(unsigned bits) const {
  const std::uint64_t chunk = kBlock << bits;
  std::uint64_t total = 0;
  std::uint64_t counted = 0;  // chunks before this one are
  // Chunks [from, to).
  const auto copy = [&](std::uint64_t from, std::uint64_t to) {
    from = std::max(from, counted);
    if (from >= to) return;
    total += roundUp(std::min(to * chunk, size_), kBlock) - from * chunk;
    counted = to;
  };
  for (const Extent& extent : extents_) {
    const std::uint64_t end = extent.offset + extent.length;
    const std::uint64_t from = extent.offset / chunk;
    const std::uint64_t to = (end - 1) / chunk + 1;
    if (!aligned(extent)) {
      copy(from, to);
      continue;
    }
    if (extent.offset % chunk != 0) copy(from, from + 1);
    if (end % chunk != 0 && end != size_) copy(to - 1, to);
  }
  return total;
}

void ChunkPlan::forEach(const std::function<void(const Chunk&)>& take) const {
  const std::uint64_t size = kBlock << bits_;
  auto extent = extents_.begin();
  for (std::uint64_t at = 0; at < size_; at += size) {
    Chunk chunk{.offset = at, .length = std::min(size, size_ - at)};
    const std::uint64_t end = at + chunk.length;
    while (extent != extents_.end() && extent->offset + extent->length <= at)
      ++extent;
    if (extent != extents_.end() && extent->offset < end) {
      const bool whole = extent->offset <= at && extent->offset + extent->length >= end;
      chunk.kind = whole && aligned(*extent) ? Chunk::Kind::mapped : Chunk::Kind::copied;
      if (chunk.kind == Chunk::Kind::mapped) chunk.tar = extent->tar + (at - extent->offset);
    }
    take(chunk);
  }
}

}  // namespace actool::cas::erofs
