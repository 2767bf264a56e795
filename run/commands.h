// The subcommands that live in actool-run, one function each; main.cc puts them together.
#pragma once

#include "core/cli/tool.h"

namespace actool::run {

cli::Subcommand podRunCommand();
cli::Subcommand listCommand();
cli::Subcommand statusCommand();
cli::Subcommand catManifestCommand();
cli::Subcommand stopCommand();
cli::Subcommand rmCommand();
cli::Subcommand gcCommand();

}  // namespace actool::run
