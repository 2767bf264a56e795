// PID 1 of a pod: starts the apps, passes signals on, reaps, and goes when the last app is gone.
#pragma once

#include <sys/types.h>

#include <csignal>
#include <cstddef>
#include <vector>

#include "run/native/app.h"
#include "run/native/channel.h"
#include "run/native/isolation.h"
#include "run/native/plan.h"

namespace actool::run::native {

// App number `index` of the plan has this PID inside of the pod: the supervisor is 1, and makes
// the apps' processes before any of them can make another.
constexpr pid_t appPid(std::size_t index) {
  return static_cast<pid_t>(index) + 2;
}

// How long apps may take to end after SIGTERM, before SIGKILL.
inline constexpr int kStopSeconds = 10;

// The signals that a pod takes from outside. They must be blocked when this starts.
inline constexpr int kForwardedSignals[] = {SIGTERM, SIGINT,  SIGHUP,  SIGQUIT,
                                            SIGUSR1, SIGUSR2, SIGWINCH};

// Whether the pod's network namespace is made while the supervisor and the apps are at their mounts
// already, and comes over `outer` (MessageKind::network): it takes a third of all that the kernel
// does for a short pod. Not when something needs it earlier: the metadata service, or IDs of the
// pod's own, as which no sysctl can be set.
bool networkComesLate(const RunOptions& options);

// For the process that cloneProcess() has just made in the pod's namespaces; `outer` leads to the
// process outside, `processors` are those that it had. Its exit code is the pod's: that of the
// first app that failed, as in rkt, or 0. An app that fails ends the pod: the others get SIGTERM.
// `files` are by app of the plan.
//
// A pod that changes (--mutable) starts apps when outside says so, goes on when none is left, and
// ends when it is asked to. Its supervisor keeps the host's tree, which it starts apps from.
[[noreturn]] void supervise(const PodPlan& plan, const PodLayout& layout,
                            const Isolation& isolation, std::vector<AppFiles>& files,
                            const Processors& processors, Channel outer);

}  // namespace actool::run::native
