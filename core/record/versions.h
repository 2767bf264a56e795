// The list of a name's images that a site publishes beside its discovery pages (docs/mirror.md,
// "Lists of versions"): a JSON document of kind "versions". appc discovery itself can't list.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/digest.h"
#include "core/base/json.h"
#include "core/schema/app_ref.h"
#include "core/schema/image_id.h"
#include "core/schema/labels.h"

namespace actool::record {

// What a list from outside may cost.
struct VersionsLimits {
  // An entry of our own takes some 500 bytes: room for as many as below.
  std::size_t bytes = std::size_t{8} << 20;
  // A name that is built every hour for a year, for two machines, has 17,000.
  std::size_t images = 20000;
};

struct ListedImage {
  // By which it is asked for. Without "version": what answers who asks for none.
  schema::Labels labels;
  std::optional<schema::ImageId> id = {};
  std::optional<Digest> digest = {};              // SHA-256 of the file as distributed
  std::optional<Digest> signature = {};           // SHA-256 of the detached signature's file
  std::uint64_t size = 0;                         // bytes as distributed; 0: not said
  std::string signedBy = {};                      // fingerprint; may be empty
  bool added = false;                             // by hand: a mirror keeps it whatever it follows
  std::vector<schema::AppRef> dependencies = {};  // that its manifest names

  bool operator==(const ListedImage&) const = default;
};

// Only a message, like every record: it says what to ask for, never what to believe.
struct Versions {
  schema::AcIdentifier name;
  std::vector<ListedImage> images;  // no two of the same labels

  Json toJson() const;
  // Throws Error naming the member. Unknown members are ignored.
  static Versions fromJson(const Json& object, const VersionsLimits& limits = {});
  // `what` names the source in errors.
  static Versions parse(std::string_view text, std::string_view what,
                        const VersionsLimits& limits = {});
};

}  // namespace actool::record
