// What an isolated side asks for: a small file that `bundle want` writes there and
// `bundle export --for` reads here. docs/bundle-format.md, Requests.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/digest.h"
#include "core/schema/image_id.h"

namespace actool::cas {

struct BundleRequest {
  std::vector<std::string> want;   // names with labels, image IDs or prefixes of one
  std::set<schema::ImageId> have;  // images that are there, verified
  std::set<Digest> pieces;         // of bundles that came in part; SHA-512

  // Throws UsageError on a `want` that is a path or a URL.
  void addWanted(const std::string& argument);

  std::string dump() const;
  // Throws Error with `what` in front.
  static BundleRequest parse(std::string_view text, std::string_view what);
};

// The limit on a request as a file: some 400,000 images.
inline constexpr std::size_t kMaxRequestBytes = 64 << 20;

}  // namespace actool::cas
