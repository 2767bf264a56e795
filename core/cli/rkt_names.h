// rkt's command line in ours, for a link named `rkt` to `actool`. Most words are the same; what
// differs is put right here (docs/rkt.md).
#pragma once

#include <string>
#include <vector>

namespace actool::cli {

// `words` begin with the subcommand; global options stand before it no more. `trust` becomes
// `trust add`; lists are tables and fetched images bare IDs whatever standard output is; --full of
// fetch, which cut no ID, goes.
std::vector<std::string> fromRkt(std::vector<std::string> words);

// What `rkt version` and `actool version` print.
std::string versionText();

}  // namespace actool::cli
