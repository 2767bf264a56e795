// What the subcommands print.
#pragma once

#include <optional>
#include <vector>

#include "core/cli/tool.h"
#include "p2p/mirror/check.h"
#include "p2p/mirror/sync.h"

namespace actool::mirror {

void printChanges(const SyncReport& report, bool dryRun, cli::Format format);
void printList(const std::vector<record::Versions>& names, cli::Format format);
void printChecked(const std::vector<Checked>& images, cli::Format format);

}  // namespace actool::mirror
