// What an app's standard input, output and error are (docs/native.md, Standard streams).
#pragma once

#include <array>
#include <string_view>
#include <vector>

#include "core/base/fd.h"
#include "core/schema/app.h"

namespace actool::run::native {

enum class StdioMode {
  inherit,  // what `run` was started with (input: /dev/null, unless --interactive)
  null,     // /dev/null
  log,      // the journal, or a log file of the pod's; output and error only
  stream,   // to be attached to
  tty,      // a pseudo-terminal of the app's own, to be attached to
};
using StdioModes = std::array<StdioMode, 3>;

// From the app's annotations coreos.com/rkt/stage2/{stdin,stdout,stderr}. "interactive" is inherit.
// Throws Error on other words.
StdioModes stdioModes(const schema::Annotations& annotations);

// The app's ends of its three streams; no descriptor where the mode needs none from outside.
using StdioFds = std::array<UniqueFd, 3>;

// Closes every descriptor from 3 on but those in `keep`.
void closeAllBut(std::vector<int> keep);

}  // namespace actool::run::native
