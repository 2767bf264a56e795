// Images that a repair took out of the store, got again by the tool that has a network.
#pragma once

#include "cas/quarantine.h"
#include "core/cli/globals.h"

namespace actool::cas {

// Runs `actool-fetch` for exactly that image: from the URLs and files it came from, the last one
// first, then by the names it was asked for; each time with the signature that it had, when that is
// whole, and otherwise with what lies there. What comes is verified as ever, and put under no other
// ID. The image then has the history it had: when it was imported, asked for, and from where.
// False when no place has it; `actool-fetch` has said why of each. Not under the store's lock.
bool refetch(const cli::Globals& globals, const LostImage& lost);

}  // namespace actool::cas
