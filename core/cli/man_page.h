// Manual pages from the same text as --help.
#pragma once

#include <string>
#include <string_view>

#include "core/cli/tool.h"

namespace actool::cli {

// A man(7) page for one subcommand, named as `actool`'s manual pages are: "actool-trust-add".
// An empty name stands for actool itself.
std::string manPage(const Subcommand& subcommand, const Options& options);

}  // namespace actool::cli
