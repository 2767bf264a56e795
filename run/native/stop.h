// The `stop` and `gc` entry points.
#pragma once

#include "core/base/uuid.h"
#include "run/native/options.h"
#include "run/pod_layout.h"

namespace actool::run::native {

// Asks the pod in the current directory to end (SIGTERM), or ends it (--force, SIGKILL). Throws
// Error when it is not running: its lock is free, or its PID is no first process of a pod.
void stopPod(const StopOptions& options, const PodLayout& layout);

// Nothing that this executor makes outlives a pod: network and mounts go with their last process.
// Checks that this is a pod's directory and that the pod's first process is gone, and throws
// Error otherwise.
void collectPod(const Uuid& uuid, const PodLayout& layout);

}  // namespace actool::run::native
