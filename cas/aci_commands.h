// The subcommands for people who make images: build, validate, patch-manifest, cat-manifest.
// actool-image takes them beside those of the store.
#pragma once

#include <vector>

#include "core/cli/tool.h"

namespace actool::cas {

std::vector<cli::Subcommand> aciSubcommands();

// One file each, cas/cmd_*.cc.
cli::Subcommand buildCommand();
cli::Subcommand validateCommand();
cli::Subcommand patchManifestCommand();
cli::Subcommand catManifestCommand();

}  // namespace actool::cas
