// Signals as something to wait for beside descriptors.
#pragma once

#include <initializer_list>
#include <span>

#include "core/base/fd.h"

namespace actool::run::native {

// Blocks them for this thread and those it makes. SystemError.
void blockSignals(std::span<const int> signals);

// Blocks `signals` and `more`, and gives a descriptor that one signalfd_siginfo is read from for
// each that comes. Reading never blocks. SystemError.
UniqueFd receiveSignals(std::span<const int> signals, std::initializer_list<int> more = {});

}  // namespace actool::run::native
