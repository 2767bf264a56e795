// Which images a quota takes: least recently used first, and never what something needs.
#pragma once

#include <chrono>
#include <vector>

#include "cas/care.h"
#include "cas/store.h"

namespace actool::cas {

// In the order in which they are to go: no image stands before one that depends on it. What they
// free is in `bytes`. Left out is what a pod, a lease, or another image that stays needs, and what
// was imported, fetched or used within the grace period.
std::vector<GcItem> imagesOverQuota(const StoreWriter& writer, const GcOptions& options,
                                    std::chrono::system_clock::time_point now);

}  // namespace actool::cas
