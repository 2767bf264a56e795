// Images and their dependencies, fetched side by side, each once.
//
// A worker never waits for another: it fetches one image, reads its dependencies, and puts
// those that nobody has asked for yet on the queue. So a cycle cannot lock up; it is found when
// the edge that would close it is added, and refused.
#pragma once

#include <exception>
#include <functional>
#include <optional>
#include <vector>

#include "core/record/record.h"
#include "fetch/request.h"

namespace actool::fetch {

struct GraphLimits {
  unsigned workers = 4;      // one saturates most links; a few hide each other's round trips
  int depth = 32;            // images are layered a handful deep; versions could go on for ever
  std::size_t images = 256;  // of one run, dependencies included
};

// Of one of the images that were asked for: the record when it and everything below it is in the
// store, else why not.
struct Outcome {
  std::optional<record::Image> image;
  std::exception_ptr error;  // an Error
};

struct GraphWork {
  // Called from several threads; `worker` counts from 0 and tells them apart.
  std::function<record::Image(const Request& request, unsigned worker)> fetch;
  // What an image needs; called once for each image.
  std::function<std::vector<Request>(const record::Image& image)> dependencies;
};

// One outcome for each of `requests`, in their order. Failures of one image leave the others
// alone.
std::vector<Outcome> fetchAll(const std::vector<Request>& requests, const GraphWork& work,
                              const GraphLimits& limits = {});

}  // namespace actool::fetch
