// What the entry points of stage1s that drive other programs have in common.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "run/native/options.h"
#include "run/native/plan.h"
#include "run/pod_layout.h"

namespace actool::run::executor {

// The `run` entry point: arguments and manifests become a plan, which `work` runs. Its layout has
// the absolute path of the pod's directory. Isolators whose names are not in `applied` are named in
// one warning; those of capabilities and no_new_privs every executor applies. UsageError for what
// only the native stage1 does: networks, pods that change, a metadata service, streams to attach
// to.
int runEntry(const std::vector<std::string>& arguments, const std::vector<std::string>& applied,
             const std::function<int(const native::PodPlan&, const PodLayout&)>& work);

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
