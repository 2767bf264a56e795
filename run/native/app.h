// One app: from a fresh process of the pod to the program of the image.
#pragma once

#include <string>
#include <vector>

#include "core/base/fs.h"
#include "run/native/channel.h"
#include "run/native/devices.h"
#include "run/native/isolation.h"
#include "run/native/listen.h"
#include "run/native/namespaces.h"
#include "run/native/plan.h"
#include "run/native/stdio.h"
#include "run/native/users.h"

namespace actool::run::native {

// What one app's process gets from outside of the pod.
struct AppFiles {
  StdioFds stdio;
  std::vector<ListenSocket> listen;
  bool notify = false;  // it says itself when it is ready
};

// What an app's process needs of its pod.
struct PodContext {
  const PodPlan& plan;
  const PodLayout& layout;
  const SharedDevices& devices;
  std::vector<AppIsolation> isolation;  // by app
  std::vector<AppFiles>& files;         // by app
  std::vector<Path> terminals;          // by app: its own pseudo-terminal, as below; or empty
  std::string metadataUrl;              // or empty
  Path terminal;     // the pod's pseudo-terminal, by its path in the supervisor's view; or empty
  std::string term;  // $TERM for the apps; may be empty
  // The network namespace is still being made; the channel brings it (MessageKind::network).
  bool networkComes = false;
  // What the supervisor and the apps may run on once it has come.
  Processors processors;
};

// Ends a process of the pod that failed before it became a program of the image.
inline constexpr int kFailedCode = 254;

// For a process that cloneProcess(CLONE_NEWNS) has just made for an app of the plan: contains it,
// runs the pre-start handler, and becomes the app. A failure goes to `channel`, which is closed
// when the app begins.
[[noreturn]] void runApp(const PodContext& context, std::size_t index, const Channel& channel);

// For a fresh process outside of the app: goes into `mountNamespace` and becomes the app's
// post-stop handler. A failure goes to `channel`.
[[noreturn]] void runPostStop(const PodContext& context, const AppPlan& app, int mountNamespace,
                              const Channel& channel);

// Takes on the app's identity, capabilities and working directory and executes `argv`, searched in
// PATH of `environment`, with the sockets of `listen` from descriptor 3 on. The process is in the
// app's root already. Throws Error.
[[noreturn]] void becomeProgram(const AppPlan& app, const Identity& identity,
                                const std::vector<std::string>& environment,
                                const std::vector<std::string>& argv,
                                const std::vector<ListenSocket>& listen = {});

// No signal blocked, ignored or handled: what an app may expect.
void resetSignals();

}  // namespace actool::run::native
