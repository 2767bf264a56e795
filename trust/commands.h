// The subcommands of actool-trust, one source file each or a few that belong together.
#pragma once

#include "core/base/json.h"
#include "core/cli/tool.h"
#include "trust/keystore.h"

namespace actool::trust {

cli::Subcommand addCommand();
cli::Subcommand listCommand();
cli::Subcommand rmCommand();
cli::Subcommand disableCommand();
cli::Subcommand verifyCommand();

// Where keys are written: the namespace's part of the local configuration as root, of the user's
// otherwise.
Path writeDirectory(const cli::Globals& globals);

// --prefix NAME or --root of a command line. Throws UsageError unless exactly one is there.
TrustRule parseRule(const std::string& prefix, bool root);

// {"kind":"key","prefix":...,"fingerprint":...,"path":...}; "prefix" is absent for root keys.
Json trustedKeyJson(const TrustedKey& key);

}  // namespace actool::trust
