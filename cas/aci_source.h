// Bytes that are pulled piece by piece: what the readers of this folder read from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace actool::cas {

class AciSource {
 public:
  virtual ~AciSource() = default;

  // The next bytes, of any length; they stay valid until the next call of next() or skip().
  // Empty at the end, and only there. May block. Errors are thrown as Error.
  virtual std::span<const std::byte> next() = 0;

  // Passes over the next `count` bytes (those that next() would give) without reading them.
  // False when this source can't: the caller then pulls and drops them. A source that can
  // throws Error when there are fewer bytes left.
  virtual bool skip(std::uint64_t count) {
    static_cast<void>(count);
    return false;
  }
};

}  // namespace actool::cas
