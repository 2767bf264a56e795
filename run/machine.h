// Pods among systemd's machines.
#pragma once

#include "core/base/uuid.h"
#include "core/cli/globals.h"

namespace actool::run {

// Where systemd runs, starts `actool-machine` for a pod that is about to run. It lives as long as
// the pod and is no child of this process, nor does the pod wait for it. SystemError when no
// process could be started.
void announceMachine(const Uuid& pod, const cli::Globals& globals);

}  // namespace actool::run
