// A command that enters an app of a running virtual machine: the two ends of the socket in the
// pod's directory over which its input and output go. The packets are those of
// run/native/control.h: `attach` with an EnterRequest, then `input` and `size`; back come `output`,
// `errorOutput`, and in the end `done` with the exit code or `error` with "code text".
#pragma once

#include <string>
#include <vector>

namespace actool::run::vm {

inline constexpr const char* kEnterSocket = "vm/control";  // in the pod's directory

// The `enter` entry point.
int enterEntry(const std::vector<std::string>& arguments);

}  // namespace actool::run::vm
