// Children that are ours until they execute something.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace actool::run::executor {

// Forks (with CLONE_NEW* `flags`) and has the child do `work`, which ends in an exec(2). Returns
// its PID once it has; throws the Error that kept it from that. Signals are the child's own again.
pid_t startChild(std::uint64_t flags, const std::function<void()>& work);

// Runs `argv` to its end with /dev/null as standard input, our standard error, and standard output
// to standard error. Throws Error with `what` when it fails, or cannot be executed.
void runTool(const std::vector<std::string>& argv, const std::string& what);

}  // namespace actool::run::executor
