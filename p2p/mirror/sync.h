// Following upstream names: what is wanted, bringing it here, publishing it.
#pragma once

#include <chrono>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "p2p/mirror/outside.h"
#include "p2p/mirror/site.h"

namespace actool::mirror {

enum class Change { added, replaced, removed };

struct ChangeLine {
  Change change;
  schema::AcIdentifier name;
  record::ListedImage image;
};

struct SyncReport {
  std::vector<ChangeLine> changes;
  std::vector<Removed> pruned;
  // Of the first failure, which has been told to the operator; what failed is as it was before.
  ExitCode code = ExitCode::ok;
};

struct SyncOptions {
  std::set<schema::AcIdentifier> only;  // of the configured names; empty: all, and prune the rest
  PruneOptions prune;
};

// One image that a site should have.
struct Want {
  schema::AppRef ref;  // without a version: what is served when none is asked for
  bool dependencies = true;
  bool asked = false;  // the remote is asked whether there is a newer one
};

// The wants of a configured name, `listed` being what upstream lists (nothing: it could not be
// asked) and `current` what the site has. Pure.
std::vector<Want> wantsOf(const FollowedName& followed,
                          const std::optional<record::Versions>& listed,
                          const std::optional<record::Versions>& current);

// Brings the site to what its configuration names. An image that cannot be had stays as it is in
// the site, if it is there, and the others go on. Interrupted at any instant it leaves every name
// with the release that it had or the next one. What was in the store before `began`, which is now,
// is held against today's keys.
SyncReport syncSite(const Site& site, SiteWriter& writer, Outside& outside,
                    const SyncOptions& options, std::chrono::system_clock::time_point began);

// Publishes images of the store under their own names and versions, beside what is there.
SyncReport addImages(const Site& site, SiteWriter& writer, Outside& outside,
                     const std::vector<record::Image>& images);

// Takes images away: those of the name whose labels match. Throws NotFoundError when there is none.
SyncReport removeImages(const Site& site, SiteWriter& writer, Outside& outside,
                        const std::vector<schema::AppRef>& refs);

}  // namespace actool::mirror
