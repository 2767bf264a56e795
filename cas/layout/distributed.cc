#include "cas/layout/distributed.h"

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/json.h"

namespace actool::cas {

namespace {

// The store takes no larger ones (docs/store-format.md, Limits).
constexpr std::size_t kMostSignatureBytes = 256 << 10;
constexpr std::size_t kMostRecordBytes = 16 << 20;

std::uint64_t sizeOf(const Json& distributed) {
  const Json& size = member(distributed, "size");
  if (!size.is_number_unsigned()) throw Error("\"size\" is not a count of bytes");
  return size.get<std::uint64_t>();
}

}  // namespace

std::optional<DistributedImage> distributedImage(const StoreReader& store,
                                                 const schema::ImageId& id) {
  const Path record = store.layout().imageFile(id);
  const auto text = tryReadFile(record, kMostRecordBytes);
  if (!text) return std::nullopt;
  return withContext(record.string(), [&]() -> std::optional<DistributedImage> {
    const Json object = parseJson(*text, "record", {.bytes = kMostRecordBytes});
    const Json& distributed = member(object, "distributed");
    const bool isTar = stringMember(distributed, "encoding") == "none";
    if (!isTar && !boolMemberOr(distributed, "kept", true)) return std::nullopt;
    DistributedImage image{.id = id,
                           .digest = Digest::parse(stringMember(distributed, "digest")),
                           .size = sizeOf(distributed),
                           .file = {},
                           .signature = std::nullopt};
    image.file = store.layout().blob(isTar ? id.tarDigest() : image.digest);
    if (object.contains("signature")) {
      image.signature = tryReadFile(store.layout().signatureFile(id), kMostSignatureBytes);
      if (!image.signature) return std::nullopt;  // being removed
    }
    if (!actool::exists(image.file)) return std::nullopt;
    return image;
  });
}

}  // namespace actool::cas
