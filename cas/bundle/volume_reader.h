// Volumes of a bundle being read, from whoever made them: with limits, and with each piece held
// against its name. docs/bundle-format.md, Volumes.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "cas/aci_source.h"
#include "cas/bundle/bundle_format.h"

namespace actool::cas {

// What is done with a volume while it is read.
class VolumeVisitor {
 public:
  virtual ~VolumeVisitor() = default;
  // First, once. `imagesJson` is what `list` was parsed from, and fits `header.set`.
  virtual void begin(const VolumeHeader& header, const ImageList& list,
                     std::string_view imagesJson) = 0;
  // Whether piece() is to be called for this piece of the set; else its bytes are passed over.
  virtual bool wants(const Digest& piece, bool isSignature) = 0;
  // Its bytes are those its digest says. They are gone when this returns.
  virtual void piece(const Digest& piece, std::span<const std::byte> bytes) = 0;
};

// Reads `source` to its end. TrustError on everything that is not as specified; what had come
// before was given to `visitor` and is good. A piece that is not what its name says is passed
// over, and the error comes at the end. Errors of `visitor` pass through.
void readVolume(AciSource& source, VolumeVisitor& visitor, const BundleLimits& limits = {});

}  // namespace actool::cas
