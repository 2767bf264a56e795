// The `stop` and `gc` entry points.
#pragma once

#include "core/base/uuid.h"
#include "run/native/options.h"
#include "run/pod_layout.h"

namespace actool::run::native {

// Asks the pod in the current directory to end (SIGTERM), or ends it (--force, SIGKILL). Throws
// Error when it is not running: its lock is free, or its PID is no first process of a pod.
void stopPod(const StopOptions& options, const PodLayout& layout);

// Removes what outlives a pod whose processes were killed, all of them: its cgroups, and what
// belongs to its networks on the host. Throws Error when this is no pod's directory, or when
// leaving a network failed.
void collectPod(const GcOptions& options, const PodLayout& layout);

}  // namespace actool::run::native
