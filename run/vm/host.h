// The host's side of a pod in a virtual machine.
#pragma once

#include <string>
#include <vector>

#include "run/native/plan.h"
#include "run/pod_layout.h"

namespace actool::run::vm {

// "kvm" or "tcg" (software emulation) instead of the first that works.
inline constexpr const char* kAcceleratorVariable = "ACTOOL_VM_ACCEL";

// The modules that the guest needs.
std::vector<std::string> guestModules(bool shared, bool network);

// Runs the pod in the current directory to its end and gives its exit code; `arguments` are those
// of the run entry point. Writes `pid` (this process), the isolator report and status files as the
// guest says what happens. Throws Error when the pod could not be started, or its machine ended
// before it.
int runMachine(const native::PodPlan& plan, const PodLayout& layout,
               const std::vector<std::string>& arguments);

}  // namespace actool::run::vm
