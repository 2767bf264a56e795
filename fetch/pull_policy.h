// When to ask the network for an image that the store may have (rkt's
// Documentation/image-fetching-behavior.md).
#pragma once

#include <string_view>

namespace actool::fetch {

enum class PullPolicy {
  fetchNew,  // "new": what matches in the store is used, anything else is fetched
  update,    // "update": the remote is asked; bytes that the store has are not sent again
  never,     // "never": the store only
};

PullPolicy parsePullPolicy(std::string_view word);  // throws UsageError
std::string_view name(PullPolicy policy);

}  // namespace actool::fetch
