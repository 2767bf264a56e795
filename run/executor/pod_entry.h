// What the entry points of stage1s that drive other programs have in common.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "run/native/isolation.h"
#include "run/native/options.h"
#include "run/native/plan.h"
#include "run/pod_layout.h"

namespace actool::run::executor {

// The `run` entry point: arguments and manifests become a plan, which `work` runs. Its layout has
// the absolute path of the pod's directory. The isolators' report is written, with what `verdict`
// says of them, and the pod's cgroups are made and removed; joining them (joinCgroups()) is
// `work`'s. UsageError for what only the native stage1 does: pods that are not the host's root's,
// networks, pods that change, a metadata service, streams to attach to.
int runEntry(const std::vector<std::string>& arguments, const native::IsolatorVerdict& verdict,
             const std::function<int(const native::PodPlan&, const PodLayout&,
                                     const native::Isolation&)>& work);

// For an app's process that still has the host's /proc: joins its cgroups, and is as likely to be
// killed for its memory as it is to be.
void applyIsolation(const native::AppIsolation& isolation);

// The same where `work` applies every isolator, or says itself which it does not, and refuses the
// networks that it cannot set up.
int runEntry(const std::vector<std::string>& arguments,
             const std::function<int(const native::PodPlan&, const PodLayout&)>& work);

// The `gc` entry point of executors that leave nothing outside of the pod's directory.
int gcEntry(const std::vector<std::string>& arguments);

// The plan of the app that a command is to enter. NotFoundError when the pod has no such app, or it
// has ended.
native::AppPlan runningApp(const native::EnterOptions& options, const PodLayout& layout);

// The `stop` entry point: SIGTERM to the stage1's process, which passes it on. With --force,
// SIGKILL to all that came from it until nothing is left, then to itself.
int stopEntry(const std::vector<std::string>& arguments);

}  // namespace actool::run::executor
