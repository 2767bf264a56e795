// Decompression of a stream by its content: gzip (ISA-L), bzip2 and xz (the libraries
// themselves, not libarchive: it gives xz 1 GiB of memory when a file asks for it, and takes
// trailing garbage after bzip2 for the end).
//
// Several members or streams after each other count as one, as gzip(1), bzip2(1) and xz(1)
// have it; anything else after the last is refused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "cas/stored_image.h"
#include "core/base/error.h"

namespace actool::cas {

// The stream ends before its data do: what came may be continued.
class EarlyEndError : public TrustError {
 public:
  using TrustError::TrustError;
};

// Bytes needed to tell.
inline constexpr std::size_t kMagicBytes = 6;

// By the first bytes; Encoding::none for what is none of the others.
Encoding detectEncoding(std::span<const std::byte> head);

class Inflater {
 public:
  struct Step {
    std::size_t consumed = 0;  // of `in`
    std::size_t produced = 0;  // into `out`
  };

  virtual ~Inflater() = default;
  // Inflates some of `in` into `out` (not empty). All is consumed, or `out` is full, or both.
  // With all consumed and `out` full there may be more to come: call again with the rest, even
  // if that is nothing. Throws TrustError on damaged data.
  virtual Step step(std::span<const std::byte> in, std::span<std::byte> out) = 0;
  // The input is over, and step() has nothing left. Throws EarlyEndError unless this is
  // where the data end.
  virtual void finish() = 0;
};

// Null for Encoding::none. Memory: gzip 0.2 MB, bzip2 4 MB, xz at most `xzMemory` bytes.
std::unique_ptr<Inflater> makeInflater(Encoding encoding, std::uint64_t xzMemory);

}  // namespace actool::cas
