// From the kernel's hands to a root file system in which a pod can run.
#pragma once

#include <string>

#include "core/base/fd.h"
#include "run/native/plan.h"
#include "run/pod_layout.h"
#include "run/vm/guest_config.h"

namespace actool::run::vm {

// The pod's directory in the guest.
inline constexpr const char* kPodDir = "/pod";

// Loads modules, mounts what a Linux system has, and makes a tree in memory the root. The standard
// files are the console then, and the working directory is the pod's. Returns what the guest was
// told.
GuestConfig setUpGuest();

// The port to the host.
UniqueFd openPort();

// Mounts the app's roots below the pod's directory, and returns the pod's plan with sources of
// mounts as they are in the guest.
native::PodPlan setUpPod(const GuestConfig& config, const PodLayout& layout);

}  // namespace actool::run::vm
