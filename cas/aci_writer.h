// Writes tar archives: ustar headers, with pax records for what does not fit into them. The
// same entries make the same bytes, whatever the machine: no user names, no access or change
// times, no process IDs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "cas/aci_tar.h"

namespace actool::cas {

class ByteSink {
 public:
  virtual ~ByteSink() = default;
  virtual void write(std::span<const std::byte> bytes) = 0;
};

class TarWriter {
 public:
  // `sink` has to outlive this object.
  explicit TarWriter(ByteSink& sink) : sink_(sink) {}

  // Headers of an entry. For a regular file `entry.dataSize` bytes follow by data(): all of it,
  // or the pieces of a sparse one. Throws Error on what tar can't say.
  void begin(const TarEntry& entry);
  void data(std::span<const std::byte> bytes);
  // Fills up the entry's last block. Throws Error when data() was not as much as was said.
  void end();
  // The end-of-archive marker.
  void finish();

 private:
  void put(std::string_view text);
  void pad(std::uint64_t size);

  ByteSink& sink_;
  std::uint64_t dataLeft_ = 0;
  std::uint64_t dataSize_ = 0;
};

}  // namespace actool::cas
