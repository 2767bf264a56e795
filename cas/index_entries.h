// The index's keys, and which entries an image has: a pure function of the files in its directory.
// docs/store-format.md, Index.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cas/index.h"
#include "cas/stored_image.h"
#include "core/base/digest.h"
#include "core/schema/identifier.h"
#include "core/schema/image_id.h"
#include "core/schema/image_manifest.h"

namespace actool::cas {

inline constexpr std::string_view kImagePrefix = "image/";
inline constexpr std::string_view kPendingPrefix = "pending/";
inline constexpr std::string_view kBlobPrefix = "blob/";
inline constexpr std::string_view kNeedsPrefix = "needs/";
// Its value is kIndexFormat once the entries of all images are there: an index without it was
// lost, or is being rebuilt.
inline constexpr std::string_view kFormatKey = "format";
inline constexpr std::string_view kIndexFormat = "2";

std::string imageKey(const schema::ImageId& id);
std::string pendingKey(const schema::ImageId& id);
// The others end in NUL and an image ID. Without that they are the prefix of what all images
// have for that name, URL, signature, blob or dependency.
std::string namePrefix(const schema::AcIdentifier& name);
std::string sourcePrefix(std::string_view url);
std::string signaturePrefix(const Digest& sha256);
std::string blobPrefix(const Digest& blob);
// Of images that depend on one of this name, or on exactly this image.
std::string needsPrefix(const schema::AcIdentifier& name);
std::string needsPrefix(const schema::ImageId& id);
// The image ID at the end of such a key; nothing when there is none.
std::optional<schema::ImageId> idInKey(std::string_view key);
// What is between the key's first '/' and its NUL.
std::string_view middleOf(std::string_view key);

using IndexEntries = std::map<std::string, std::string>;

// By what image.json says, and by what the manifest says.
IndexEntries recordEntries(const StoredImage& image);
IndexEntries dependencyEntries(const schema::ImageId& id,
                               const std::vector<schema::Dependency>& dependencies);

// The blobs an image is made of, by its record.
std::vector<Digest> blobsOf(const StoredImage& image);

}  // namespace actool::cas
