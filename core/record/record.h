// Pipe records (docs/pipe-records.md): what `discover | fetch | run` say to each other, one
// JSON object a line. Unknown members are ignored, unknown kinds are refused.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/base/json.h"
#include "core/record/image_arg.h"
#include "core/schema/app_ref.h"
#include "core/schema/image_id.h"

namespace actool::record {

// A line longer than this is refused: names and URLs are short.
inline constexpr std::size_t kMaxLineBytes = 1 << 20;

// An image and its signature at one place. The scheme of `aci` says which transport.
struct Endpoint {
  std::string aci;
  std::string asc = {};
  std::string mirror = {};  // base URL of the mirror that has it; empty: the name's own place
};

// kind "discovered": where a name's image may be had. Written by `discover`.
struct Discovered {
  schema::AppRef requested;  // as asked for, before defaults
  std::vector<Endpoint> endpoints;
  std::vector<std::string> keys;  // public key URLs
  // The endpoints are those of mirrors; when none of them has the image, the name's own page may
  // be asked.
  bool askOrigin = false;

  Json toJson() const;
  static Discovered fromJson(const Json& object);
};

// kind "image": an image in the store. Written by `fetch`, `image ingest`, `image list`.
struct Image {
  schema::ImageId id;
  schema::AcIdentifier name;                // of the manifest
  schema::Labels labels;                    // of the manifest
  std::optional<schema::AppRef> requested;  // what was asked for, if it was by name
  std::uint64_t tarSize = 0;                // bytes, uncompressed
  std::uint64_t distributedSize = 0;        // bytes, as distributed
  std::string imported;                     // RFC 3339
  std::string lastUsed;                     // RFC 3339; may be empty
  std::string signedBy;                     // fingerprint of the primary key; empty: unverified
  std::vector<std::string> sources;         // URLs or paths the bytes came from

  Json toJson() const;
  static Image fromJson(const Json& object);
  // Throws TrustError when `requested` does not match `name` and `labels`.
  void checkMatches() const;
};

using Record = std::variant<Discovered, Image, ImageArg>;

// One line: a record when it begins with '{', else a bare image argument. Throws Error.
Record parseLine(std::string_view line);

// Every line of `fd` that is not blank; errors name the line number.
void forEachRecord(int fd, const std::function<void(Record)>& visit);

}  // namespace actool::record
