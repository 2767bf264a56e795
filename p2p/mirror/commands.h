// The subcommands of actool-mirror.
#pragma once

#include <vector>

#include "core/cli/tool.h"

namespace actool::mirror {

std::vector<cli::Subcommand> subcommands();

}  // namespace actool::mirror
