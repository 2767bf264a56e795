// What goes into a bundle: images with their dependencies, cut into pieces.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cas/bundle/request.h"
#include "cas/bundle/volume_writer.h"
#include "cas/store.h"

namespace actool::cas {

struct ExportRequest {
  std::vector<std::string> images;     // as an operator names them; the request's when empty
  std::optional<BundleRequest> other;  // what the other side has and wants
  std::optional<std::uint64_t> split;  // bytes of a volume, at most
};

// Reads every file as distributed once. The order of `images` does not matter to the result.
// NotFoundError when an image or a dependency
// is not in the store, or its file as distributed was dropped; Error when that file is not what
// came in. `onProgress` gets the bytes read so far and all there are.
BundlePlan planExport(const StoreView& view, const ExportRequest& request,
                      const std::function<void(std::uint64_t, std::uint64_t)>& onProgress);

}  // namespace actool::cas
