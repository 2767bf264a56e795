// The bytes of a volume, from a file, a disc or a pipe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cas/aci_source.h"

namespace actool::cas {

class VolumeSource : public AciSource {
 public:
  // Reads `fd`, which stays the caller's, from where it stands to its end.
  explicit VolumeSource(int fd);

  // TrustError when a file, disc or device can't be read here: this volume is no good, others may
  // be.
  std::span<const std::byte> next() override;
  bool skip(std::uint64_t count) override;

 private:
  int fd_;
  std::optional<std::uint64_t> left_;  // of a regular file
  std::vector<std::byte> buffer_;
};

}  // namespace actool::cas
