// One app: from a fresh process of the pod to the program of the image.
#pragma once

#include <string>
#include <vector>

#include "core/base/fs.h"
#include "run/native/channel.h"
#include "run/native/devices.h"
#include "run/native/plan.h"
#include "run/native/users.h"

namespace actool::run::native {

// What an app's process needs of its pod.
struct PodContext {
  const PodPlan& plan;
  const PodLayout& layout;
  const SharedDevices& devices;
  Path terminal;     // the pod's pseudo-terminal, by its path in the supervisor's view; or empty
  std::string term;  // $TERM for the apps; may be empty
};

// Ends a process of the pod that failed before it became a program of the image.
inline constexpr int kFailedCode = 254;

// For a process that cloneProcess(CLONE_NEWNS) has just made: contains it, runs the pre-start
// handler, and becomes the app. A failure goes to `channel`, which is closed when the app begins.
[[noreturn]] void runApp(const PodContext& context, const AppPlan& app, const Channel& channel);

// For a fresh process outside of the app: goes into `mountNamespace` and becomes the app's
// post-stop handler. A failure goes to `channel`.
[[noreturn]] void runPostStop(const PodContext& context, const AppPlan& app, int mountNamespace,
                              const Channel& channel);

// Takes on the app's identity, capabilities and working directory and executes `argv`, searched in
// PATH of `environment`. The process is in the app's root already. Throws Error.
[[noreturn]] void becomeProgram(const AppPlan& app, const Identity& identity,
                                const std::vector<std::string>& environment,
                                const std::vector<std::string>& argv);

// No signal blocked, ignored or handled: what an app may expect.
void resetSignals();

}  // namespace actool::run::native
