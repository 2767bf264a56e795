// Walking over what a site has, and removing what nothing leads to.
#pragma once

#include <chrono>
#include <functional>
#include <vector>

#include "core/base/fs.h"
#include "p2p/mirror/site.h"

namespace actool::mirror {

// Calls `visit` for the web root and each folder below it that may be a name's or a parent's, the
// deepest first. Folders of our own ("_r", "_images") are left out.
void walkSite(const SiteLayout& layout, const std::function<void(const Path& folder)>& visit);

// As SiteWriter::prune(). The site's lock is held.
std::vector<Removed> pruneSite(const Site& site, const PruneOptions& options,
                               std::chrono::system_clock::time_point now);

}  // namespace actool::mirror
