// The subcommands of `actool bundle`.
#pragma once

#include "core/cli/tool.h"

namespace actool::cas {

cli::Subcommand bundleExportSubcommand();
cli::Subcommand bundleImportSubcommand();
cli::Subcommand bundleWantSubcommand();

}  // namespace actool::cas
