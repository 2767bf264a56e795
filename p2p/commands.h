// The subcommands of actool-p2p.
#pragma once

#include "core/cli/tool.h"

namespace actool::p2p {

cli::Subcommand torrentSubcommand();

}  // namespace actool::p2p
