// The subcommands of `actool image`, in files by what they do.
#pragma once

#include <string>
#include <vector>

#include "cas/layout.h"
#include "core/cli/globals.h"
#include "core/cli/tool.h"

namespace actool::cas {

cli::Subcommand ingestSubcommand();
cli::Subcommand listSubcommand();
cli::Subcommand resolveSubcommand();
cli::Subcommand remoteSubcommand();
// why, by whom and from where an image is here.
cli::Subcommand whySubcommand();
// The audit log, and the namespaces.
cli::Subcommand logSubcommand();
cli::Subcommand namespacesSubcommand();
// cat-manifest, export, extract, render.
std::vector<cli::Subcommand> contentSubcommands();
// lease add, list, rm.
std::vector<cli::Subcommand> leaseSubcommands();
// rm, verify, gc, fsck.
std::vector<cli::Subcommand> careSubcommands();

inline StoreLayout storeOf(const cli::Globals& globals) {
  return StoreLayout(globals.dir, globals.ns);
}

}  // namespace actool::cas
