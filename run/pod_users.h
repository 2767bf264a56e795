// Pods of ordinary users: whose root a command has to be (core/base/own_root.h).
//
// What makes, collects or exports a pod gets a user namespace of its own. What changes or enters
// a running one goes into that of the pod, whose owner the user is: nobody in a sibling of it has
// rights there.
#pragma once

#include "core/base/fd.h"
#include "run/pod_layout.h"
#include "run/run_options.h"

namespace actool::run {

// To make a pod with those options. Nothing happens for root. UsageError for what only root
// can give a pod: IDs of its own on the host, networks but none and host. Error when the kernel
// lets nobody but root have pods.
void becomeRootOfPods(const PodOptions& options);

// The user namespace of the pod's first process, for one who is not root; nothing for root, and
// when the pod does not run.
UniqueFd usersOf(const PodLayout& pod);
// Goes there. Nothing happens where usersOf() has nothing.
void joinUsersOf(const PodLayout& pod);

}  // namespace actool::run
