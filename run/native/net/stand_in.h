// A network namespace for plugins that are to undo what they did in one that is gone.
#pragma once

#include <vector>

#include "core/base/fd.h"
#include "run/native/net/net_state.h"

namespace actool::run::native {

// A namespace with the interfaces of the networks and their addresses, on devices that lead
// nowhere: the plugins find in it which rules of the host's firewall are theirs. The calling
// process stays in its own.
UniqueFd makeStandIn(const std::vector<JoinedNetwork>& networks);

}  // namespace actool::run::native
