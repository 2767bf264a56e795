// What is done for a pod's isolators from outside of it, and the record of what became of each.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "run/isolator_report.h"
#include "run/native/cgroups.h"
#include "run/native/plan.h"
#include "run/pod_layout.h"

namespace actool::run::native {

// What an app's process has to do for itself.
struct AppIsolation {
  std::vector<Path> joinFiles;  // PodCgroups::joinFiles()
  std::optional<int> oomScoreAdj;
};

// One pod's. The cgroups live until remove().
class Isolation {
 public:
  // Makes the cgroups and writes the pod's report and list of cgroups (docs/stage1-interface.md).
  // A pod without isolators costs nothing here. What cannot be applied is named in one warning.
  Isolation(const PodPlan& plan, const PodLayout& layout);

  // Nothing for an app that a changing pod got later: it has no cgroup of its own.
  AppIsolation app(std::size_t index) const {
    return index < apps_.size() ? apps_[index] : AppIsolation();
  }
  // Once the pod's processes are gone.
  void remove();

 private:
  void take(const PodPlan& plan, const schema::Isolators& isolators,
            std::optional<std::size_t> app);
  IsolatorState settle(const PodPlan& plan, const schema::Isolators& isolators,
                       const schema::Isolator& isolator, std::optional<std::size_t> app);
  PodCgroups& cgroups(const PodPlan& plan);

  Uuid uuid_;
  std::optional<PodCgroups> cgroups_;
  std::vector<AppIsolation> apps_;
  std::vector<IsolatorState> states_;
};

// Removes what an ended pod has left, by its list of cgroups.
void removeIsolation(const PodLayout& layout, const Uuid& pod);

// For an app's process that still sees the host's file systems: puts it into its cgroups.
void joinCgroups(const AppIsolation& isolation);

}  // namespace actool::run::native
