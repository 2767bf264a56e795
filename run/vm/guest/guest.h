// PID 1 of a pod's virtual machine.
#pragma once

#include <string>
#include <vector>

namespace actool::run::vm {

// Sets the guest up and runs the pod in it, by the native stage1's own code and rules, and the
// commands that enter it; says over the port (wire.h) what becomes of them. It does not return: the
// host ends the machine, or it is switched off when the host is gone. Arguments are the kernel's,
// and not ours.
int initEntry(const std::vector<std::string>& arguments);

}  // namespace actool::run::vm
