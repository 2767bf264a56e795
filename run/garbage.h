// The end of pods: marking, sweeping, removing (docs/pods.md, Garbage collection).
#pragma once

#include <chrono>
#include <vector>

#include "core/base/clock.h"
#include "core/cli/globals.h"
#include "run/pod.h"

namespace actool::run {

struct GcOptions {
  std::chrono::milliseconds gracePeriod{};
  std::chrono::milliseconds expirePrepared{};
  bool markOnly = false;
};

// One pass: exited pods are marked, failed preparations and expired prepared pods condemned,
// and what is marked for longer than the grace period is removed. Pods that are locked by others
// are left for the next pass. Returns the removed pods; failures of single pods are
// reported as warnings, and the first is thrown once the others are done.
std::vector<Uuid> collectGarbage(const PodsLayout& pods, const GcOptions& options,
                                 const cli::Globals& globals, const Clock& clock);

// Removes one pod at once, whatever its state. InUseError when it runs, is being prepared or
// is being removed by another process.
void removePod(Pod& pod, const cli::Globals& globals);

}  // namespace actool::run
