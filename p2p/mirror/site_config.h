// What a mirror site is and follows: SITE/mirror.json (docs/mirror.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/schema/app_ref.h"
#include "core/schema/identifier.h"

namespace actool::mirror {

struct Platform {
  std::string os;
  std::string arch;
  bool operator==(const Platform&) const = default;
};

// One name of which `mirror sync` keeps a copy.
struct FollowedName {
  schema::AcIdentifier name;
  // Versions as they are, patterns with '*', and "latest": what is served when no version is
  // asked for.
  std::vector<std::string> versions;
  std::vector<Platform> platforms;  // empty: this machine's
  std::uint64_t keep = 0;           // of those that patterns match the highest so many; 0: all
  bool dependencies = true;         // and the images that these need
};

struct SiteConfig {
  std::string url;  // of the web root, without a '/' at its end
  bool torrents = false;
  std::vector<std::string> trackers;
  std::vector<FollowedName> names;  // each once

  // Throws Error naming the member. `what` names the source in errors.
  static SiteConfig parse(std::string_view text, std::string_view what);
  Json toJson() const;
};

// Throws UsageError when it is no URL that a web root can have.
std::string checkedSiteUrl(std::string_view text);

inline constexpr std::string_view kLatest = "latest";

}  // namespace actool::mirror
