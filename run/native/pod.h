// The process outside of the pod, which stage0 became: it starts the supervisor, passes signals on,
// keeps the records in the pod's directory, and ends with the pod.
#pragma once

#include "run/native/plan.h"
#include "run/pod_layout.h"

namespace actool::run::native {

// Runs the pod in the current directory to its end, and gives its exit code. Writes `pid` when the
// pod has its first process and `rkt/status/<app>` when an app has ended. Throws Error when the pod
// or an app in it could not be started; the pod is gone then.
int runPod(const PodPlan& plan, const PodLayout& layout);

}  // namespace actool::run::native
