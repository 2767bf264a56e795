#include "run/garbage.h"

#include <exception>

#include "core/base/error.h"
#include "core/base/fs.h"
#include "core/base/log.h"
#include "core/base/process.h"
#include "run/first_error.h"
#include "run/mounts.h"
#include "run/network_options.h"
#include "run/stage1.h"

namespace actool::run {
namespace {

// `list` and `status` hold a pod's lock for an instant to look at its state.
constexpr auto kLockPatience = std::chrono::seconds(1);
// An embryo lives for microseconds; an old one was left by a process that was killed.
constexpr auto kEmbryoAge = std::chrono::minutes(5);

void runGcEntryPoint(const Pod& pod, const cli::Globals& globals) {
  const PodLayout layout = pod.layout();
  // A pod whose removal was interrupted has been through this already.
  if (!actool::exists(layout.stage1Manifest()) || !actool::exists(layout.stage1Rootfs())) return;
  try {
    exportConfigDirs(globals);
    const Stage1Manifest manifest = Stage1Manifest::ofPod(layout);
    const auto status = runEntryPoint(
        layout, kStage1Gc,
        gcArguments(globals.debug, globals.localConfig, manifest.interfaceVersion(), pod.uuid()));
    if (status && !status->ok()) {
      log::warn("pod {}: the stage1's gc {}", pod.uuid().str(), status->describe());
    }
  } catch (const Error& error) {
    // Its stage1 may be gone from the machine; the pod has to be removable all the same.
    log::warn("pod {}: the stage1's gc did not run: {}", pod.uuid().str(), error.what());
  }
}

// `pod` is locked and in a garbage phase.
void deletePod(Pod& pod, const cli::Globals& globals) {
  const PodLayout layout = pod.layout();
  withContext("removing pod " + pod.uuid().str(), [&] {
    if (pod.phase() == Phase::exitedGarbage) runGcEntryPoint(pod, globals);
    unmountBelow(layout.dir());
    // The trees first: until they are gone, the manifests stay for another attempt.
    removeTree(layout.dir() / "overlay");
    removeTree(layout.stage1Rootfs());
    removeTree(layout.dir());
  });
}

void mark(const PodsLayout& pods, Phase from, Phase to,
          std::chrono::system_clock::time_point before, FirstError& errors) {
  for (Pod& pod : Pod::list(pods, {from})) {
    errors.attempt([&] {
      if (pod.phaseEntered() > before || !pod.tryLock()) return;
      // False: another gc was first, which is as well.
      if (pod.moveTo(to)) {
        log::debug("moved pod {} from {} to {}", pod.uuid().str(), phaseDirName(from),
                   phaseDirName(to));
      }
    });
  }
}

void sweep(const PodsLayout& pods, Phase phase, std::chrono::system_clock::time_point before,
           const cli::Globals& globals, std::vector<Uuid>& removed, FirstError& errors) {
  for (Pod& pod : Pod::list(pods, {phase})) {
    errors.attempt([&] {
      if (pod.phaseEntered() > before || !pod.tryLock()) return;
      // Another gc may have removed it between the look and the lock.
      if (!actool::exists(pod.layout().dir())) return;
      deletePod(pod, globals);
      removed.push_back(pod.uuid());
    });
  }
}

}  // namespace

std::vector<Uuid> collectGarbage(const PodsLayout& pods, const GcOptions& options,
                                 const cli::Globals& globals, const Clock& clock) {
  const auto now = clock.now();
  const auto always = std::chrono::system_clock::time_point::max();
  FirstError errors;
  mark(pods, Phase::run, Phase::exitedGarbage, always, errors);
  mark(pods, Phase::prepare, Phase::garbage, always, errors);
  mark(pods, Phase::embryo, Phase::garbage, now - kEmbryoAge, errors);
  std::vector<Uuid> removed;
  if (!options.markOnly) {
    mark(pods, Phase::prepared, Phase::garbage, now - options.expirePrepared, errors);
    // Without a grace period what was marked just now goes too.
    const auto before = options.gracePeriod.count() == 0 ? always : now - options.gracePeriod;
    sweep(pods, Phase::exitedGarbage, before, globals, removed, errors);
    sweep(pods, Phase::garbage, always, globals, removed, errors);
  }
  errors.rethrow();
  return removed;
}

void removePod(Pod& pod, const cli::Globals& globals) {
  switch (pod.state()) {
    case PodState::running:
      throw InUseError("pod " + pod.uuid().str() + " is running", "stop it first: actool stop");
    case PodState::embryo:
    case PodState::preparing:
      throw InUseError("pod " + pod.uuid().str() + " is being prepared");
    case PodState::exitedDeleting:
    case PodState::deleting:
      throw InUseError("pod " + pod.uuid().str() + " is being removed by another process");
    case PodState::abortedPrepare:
    case PodState::prepared:
    case PodState::exited:
    case PodState::exitedGarbage:
    case PodState::garbage:
      break;
  }
  pod.lockFor(kLockPatience);
  const bool ran = pod.phase() == Phase::run;
  if (ran || pod.phase() == Phase::prepare || pod.phase() == Phase::prepared) {
    if (!pod.moveTo(ran ? Phase::exitedGarbage : Phase::garbage)) {
      throw InUseError("pod " + pod.uuid().str() + " was moved by another process", "try again");
    }
  }
  deletePod(pod, globals);
}

}  // namespace actool::run
