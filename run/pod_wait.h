// Waiting for a pod to get somewhere.
#pragma once

#include <chrono>
#include <optional>

#include "core/base/fd.h"
#include "run/pod.h"

namespace actool::run {

// The pod as it is now: it may have moved since it was found.
Pod foundAgain(const PodsLayout& pods, const Pod& pod);

// Waits until the pod runs and its PID is known, at most `timeout` when there is one. Throws Error
// when that has passed, or when the pod will never run (again).
Pod waitReady(const PodsLayout& pods, Pod pod, std::optional<std::chrono::milliseconds> timeout);

// The pod named, which runs and whose PID is known: what entering it needs. Waits for a
// moment for a PID that is not written yet. Throws Error naming the state of one that does not run.
Pod findRunning(const PodsLayout& pods, std::string_view uuidOrPrefix);

// The pod's first process, pinned: signals and waits go to no other that has its number now. No
// descriptor when it has ended. Throws Error when its PID is not known yet.
UniqueFd openPodProcess(const Pod& pod);

// The app called `name`, or the only one when that is empty. NotFoundError, or UsageError with the
// names of the pod's apps.
const schema::RuntimeApp& chooseApp(const schema::PodManifest& manifest, std::string_view name);

}  // namespace actool::run
