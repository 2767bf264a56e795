// The `stop` and `gc` entry points.
#pragma once

#include "core/base/fs.h"
#include "core/base/uuid.h"
#include "run/native/options.h"
#include "run/pod_layout.h"

namespace actool::run::native {

// The absolute path of the pod's directory. Error when it is not called like the pod: the wrong
// directory is not touched.
Path requirePod(const Uuid& uuid, const PodLayout& layout);

// Asks the pod in the current directory to end (SIGTERM), or ends it (--force, SIGKILL). Throws
// Error when it is not running: its lock is free, or its PID is no first process of a pod.
void stopPod(const StopOptions& options, const PodLayout& layout);

// Removes what outlives a pod whose processes were killed, all of them: its cgroups, and what
// belongs to its networks on the host. Throws Error when this is no pod's directory, or when
// leaving a network failed.
void collectPod(const GcOptions& options, const PodLayout& layout);

}  // namespace actool::run::native
