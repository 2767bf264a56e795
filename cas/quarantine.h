// Images whose files are not what they should be, and what can be done about it without losing
// a byte: mend what follows from other files, move the rest out of the way.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cas/layout.h"
#include "cas/stored_image.h"

namespace actool::cas {

// An image that went to the quarantine.
struct LostImage {
  NamespaceName ns;
  StoredImage image;
  Path place;  // where it lies now
};

// All of this under the store's lock, and for images that did not pass checkImage().

// Puts right what it can: the manifest by the tar, image.json by `indexed` (the index's copy of
// it), and a damaged file as distributed is moved to the quarantine when the tar is good. A line
// for each.
std::vector<std::string> mendImage(const StoreReader& reader, const schema::ImageId& id,
                                   const std::optional<StoredImage>& indexed);

// Moves all that there is of an image to quarantine/<image ID>, or <image ID>.2 and so on, with
// the reason in a file `why`. Nothing is deleted. Blobs for which `isNeeded` is true, by a good
// image of another namespace, stay. Returns what is known of it, by its own image.json or else by
// `indexed`.
std::optional<LostImage> quarantineImage(const StoreReader& reader, const schema::ImageId& id,
                                         const std::optional<StoredImage>& indexed,
                                         const std::string& why,
                                         const std::function<bool(const Digest&)>& isNeeded);

}  // namespace actool::cas
