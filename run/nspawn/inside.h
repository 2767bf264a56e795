// Our program inside of a machine.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "run/executor/app_driver.h"

namespace actool::run::nspawn {

// "pre-start", "main", "post-stop": how inside() is told which program of the app is meant.
std::string_view name(executor::AppStep step);

// The descriptor of a pipe of which the pod's first process holds the other end.
inline constexpr int kLifeLineFd = 3;

// PID 1 of a machine: reads the pod's manifest below kInsideDir, removes that directory from view,
// and runs one program of an app with its user, environment and limits. Passes signals on, reaps,
// and exits as a shell would when the program has ended, or when kLifeLineFd closes. `arguments`:
// the app's name, the step, then those of the run entry point.
int insideEntry(const std::vector<std::string>& arguments);

}  // namespace actool::run::nspawn
