// The subcommands that live in actool-run, one function each; main.cc puts them together.
#pragma once

#include "cas/layout.h"
#include "core/cli/tool.h"
#include "run/pod_layout.h"

namespace actool::run {

inline PodsLayout podsOf(const cli::Globals& globals) {
  return PodsLayout(cas::StoreLayout(globals.dir, globals.ns).podsDir());
}

cli::Subcommand podRunCommand();
cli::Subcommand prepareCommand();
cli::Subcommand runPreparedCommand();
cli::Subcommand enterCommand();
cli::Subcommand exportCommand();
cli::Subcommand configCommand();
cli::Subcommand attachCommand();
cli::Subcommand logsCommand();
cli::Subcommand sandboxCommand();
std::vector<cli::Subcommand> appCommands();  // "app sandbox", "app add", ...
cli::Subcommand listCommand();
cli::Subcommand statusCommand();
cli::Subcommand catManifestCommand();
cli::Subcommand stopCommand();
cli::Subcommand rmCommand();
cli::Subcommand gcCommand();

}  // namespace actool::run
