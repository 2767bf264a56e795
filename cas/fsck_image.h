// What `image fsck` looks at of images: every byte, in several threads.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "cas/layout.h"
#include "cas/stored_image.h"

namespace actool::cas {

// image.json, manifest and signature agree with each other, and the blobs have the right sizes.
// Error naming the first thing that is wrong.
StoredImage readAgreeing(const StoreReader& reader, const schema::ImageId& id);
// And all bytes are what their digests say. Error as above.
void checkImage(const StoreReader& reader, const schema::ImageId& id);

// checkImage() of all, one thread for each core with one buffer each. What is wrong, by image.
// `onProgress` is called some times a second, by the calling thread, with the bytes that are read
// and the bytes there are.
std::map<schema::ImageId, std::string> checkImages(
    const StoreReader& reader, const std::vector<schema::ImageId>& ids,
    const std::function<void(std::uint64_t done, std::uint64_t total)>& onProgress);

}  // namespace actool::cas
