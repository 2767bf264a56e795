// Pods on disk: finding them, their state, their lock and their moves from phase to phase.
//
// A pod's phase is the directory it is in, its liveness the flock(2) on its own directory: there
// is no daemon and no record to get out of step. docs/pods.md has the table.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/fd.h"
#include "core/base/uuid.h"
#include "core/schema/pod_manifest.h"
#include "run/pod_layout.h"

namespace actool::run {

enum class PodState {
  embryo,
  preparing,
  abortedPrepare,
  prepared,
  running,
  exited,
  exitedGarbage,   // exited and marked by gc
  exitedDeleting,  // marked, and being removed just now
  garbage,
  deleting,
};
std::string_view podStateName(PodState state);  // rkt's words: "aborted prepare"

// One pod, held open by its directory. Movable. Others may move or remove the pod at any time
// as long as this object does not hold its lock.
class Pod {
 public:
  // A new pod in phase `prepare`, locked exclusively. Makes the phases' directories as needed.
  static Pod create(const PodsLayout& pods);
  // By UUID or a prefix of one. NotFoundError; UsageError naming the candidates of a prefix.
  static Pod find(const PodsLayout& pods, std::string_view uuidOrPrefix);
  // All pods of the phases, by UUID. What disappears meanwhile is left out.
  static std::vector<Pod> list(const PodsLayout& pods, const std::vector<Phase>& phases);

  const Uuid& uuid() const { return uuid_; }
  Phase phase() const { return phase_; }
  PodLayout layout() const { return PodLayout(pods_.podDir(phase_, uuid_)); }
  PodState state() const;  // an instant's truth, unless this object holds the lock

  // The exclusive lock. False when another process holds one (shared or exclusive).
  bool tryLock();
  // Polls for the lock as long as `timeout`; InUseError after that.
  void lockFor(std::chrono::milliseconds timeout);
  // Blocks until nobody holds the lock exclusively, at most `timeout` when there is one. False
  // when that has passed.
  bool waitUnlocked(std::optional<std::chrono::milliseconds> timeout) const;
  void unlock();
  int fd() const { return fd_.get(); }

  // Renames the pod's directory into another phase. False when somebody else moved the pod first.
  bool moveTo(Phase phase);

  // When the phase was entered (the directory's ctime).
  std::chrono::system_clock::time_point phaseEntered() const;
  // Nothing where the pod did not get that far.
  std::optional<std::chrono::system_clock::time_point> created() const;
  std::optional<std::chrono::system_clock::time_point> started() const;
  std::optional<schema::PodManifest> manifest() const;
  // Of the pod's first process, as stage1 wrote it: `pid`, or while it runs the child of `ppid`.
  std::optional<pid_t> pid() const;
  // What stage1 recorded; nothing while the app runs, or when its supervisor was killed.
  std::optional<int> exitStatus(const schema::AcName& app) const;

 private:
  Pod(PodsLayout pods, Uuid uuid, Phase phase, UniqueFd fd)
      : pods_(std::move(pods)), uuid_(std::move(uuid)), phase_(phase), fd_(std::move(fd)) {}
  static std::optional<Pod> open(const PodsLayout& pods, const Uuid& uuid);

  PodsLayout pods_;
  Uuid uuid_;
  Phase phase_;
  UniqueFd fd_;
  bool locked_ = false;
};

// The UUID in a file as --uuid-file-save writes it. NotFoundError, UsageError.
std::string readUuidFile(const Path& path);

}  // namespace actool::run
