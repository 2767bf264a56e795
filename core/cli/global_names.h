// The names of the global options, for who only looks for them and does not read them.
#pragma once

#include <string_view>

namespace actool::cli {

struct GlobalName {
  std::string_view name;
  bool takesValue;
};

// Those of Globals::addTo(); a unit test compares.
inline constexpr GlobalName kGlobalNames[] = {
    {"--dir", true},           {"--namespace", true},
    {"--system-config", true}, {"--local-config", true},
    {"--user-config", true},   {"--insecure-options", true},
    {"--progress", true},      {"--trust-keys-from-https", false},
    {"--debug", false},
};

}  // namespace actool::cli
