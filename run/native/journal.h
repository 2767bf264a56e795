// Streams of systemd's journal (systemd-cat's way): what is written to one becomes log entries.
#pragma once

#include <string_view>

#include "core/base/fd.h"

namespace actool::run::native {

inline constexpr const char* kJournalSocket = "/run/systemd/journal/stdout";

// A descriptor to be an app's standard output or error, whose entries are marked with
// `identifier` (journalctl -t). No descriptor when there is no journal here.
UniqueFd openJournal(std::string_view identifier, bool errors);

}  // namespace actool::run::native
