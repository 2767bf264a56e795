// The guest's one network interface.
#pragma once

namespace actool::run::vm {

// Gives it the address and the router of QEMU's user network, without
// asking: 10.0.2.15/24, 10.0.2.2.
void setUpInterface();

}  // namespace actool::run::vm
