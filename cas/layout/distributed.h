// The file as distributed of a committed image, read-only: what gives images to others (the
// seeder, the mirror) knows of the store. Links no database.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cas/layout.h"
#include "core/base/digest.h"

namespace actool::cas {

// What was signed, and the signature over it.
struct DistributedImage {
  schema::ImageId id;
  Digest digest;  // SHA-256 of the file as distributed
  std::uint64_t size = 0;
  Path file;                             // its blob; the tar's when that is what was distributed
  std::optional<std::string> signature;  // armoured; nothing when the image came in unverified
};

// Nothing when the file as distributed was dropped, or the image is gone or going. Throws Error
// when what is there can't be read.
std::optional<DistributedImage> distributedImage(const StoreReader& store,
                                                 const schema::ImageId& id);

}  // namespace actool::cas
