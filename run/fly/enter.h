// The `enter` entry point of fly.
#pragma once

#include <string>
#include <vector>

namespace actool::run::fly {

// Runs a command in the mount namespace of a running app, as its user, to its end; its exit code.
// Throws NotFoundError when the app does not run.
int enterEntry(const std::vector<std::string>& arguments);

}  // namespace actool::run::fly
