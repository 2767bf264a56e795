// The subcommands of actool-p2p.
#pragma once

#include "core/cli/tool.h"

namespace actool::p2p {

cli::Subcommand torrentSubcommand();
cli::Subcommand getSubcommand();
cli::Subcommand seedSubcommand();
cli::Subcommand seedStatusSubcommand();

}  // namespace actool::p2p
