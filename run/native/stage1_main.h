// main() of a stage1 whose entry points are one program of several names
// (docs/stage1-interface.md).
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace actool::run::native {

// An entry point: gets the arguments after the program's name, returns the exit code. It runs in
// the pod's directory.
using EntryPoint = std::function<int(const std::vector<std::string>&)>;

// Runs the entry point that the program's name says. Descriptors 0 to 2 are something, an Error
// becomes one line on standard error ("stage1 NAME: ...") and its exit code.
int stage1Main(int argc, char** argv, std::string_view stage1,
               const std::map<std::string, EntryPoint>& entries);

// For `run`: the descriptor that holds the pod's lock stays open in this process, and comes into
// nothing that is executed from it. UsageError when the variable names no open descriptor.
void keepLock();

}  // namespace actool::run::native
