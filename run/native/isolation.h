// What is done for a pod's isolators from outside of it, and the record of what became of each.
#pragma once

#include <functional>
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

// What an executor has to say of an isolator itself, with its `app` (null: the pod's); nothing
// where it is as with any other. Only `state` and `detail` of the answer count.
using IsolatorVerdict = std::function<std::optional<IsolatorState>(const schema::Isolator& isolator,
                                                                   const AppPlan* app)>;

// One pod's. The cgroups live until remove().
class Isolation {
 public:
  // Makes the cgroups and writes the pod's report and list of cgroups (docs/stage1-interface.md).
  // A pod without isolators costs nothing here. What cannot be applied is named in one warning.
  // Isolators of which `verdict` says something are left to who said it.
  Isolation(const PodPlan& plan, const PodLayout& layout, IsolatorVerdict verdict = nullptr);

  // By app of the plan.
  const std::vector<AppIsolation>& apps() const { return apps_; }
  // The same for an app that a changing pod gets later, before each of its starts.
  AppIsolation add(const PodPlan& plan, const AppPlan& app);
  // Once such an app is gone for good: removes its cgroups and what is reported of it.
  void forget(const std::string& app);
  // Once the pod's processes are gone.
  void remove();

 private:
  // Whose isolators are settled: the pod's own where there is no app.
  struct Subject {
    const AppPlan* app = nullptr;
    AppIsolation* isolation = nullptr;
    bool added = false;
  };

  void take(const PodPlan& plan, const schema::Isolators& isolators, const Subject& subject);
  IsolatorState settle(const PodPlan& plan, const schema::Isolators& isolators,
                       const schema::Isolator& isolator, const Subject& subject);
  PodCgroups& cgroups(const PodPlan& plan);
  void writeFiles() const;

  Uuid uuid_;
  const PodLayout& layout_;
  IsolatorVerdict verdict_;
  std::optional<PodCgroups> cgroups_;
  std::vector<AppIsolation> apps_;
  std::vector<IsolatorState> states_;
};

// Removes what an ended pod has left, by its list of cgroups.
void removeIsolation(const PodLayout& layout, const Uuid& pod);

// For an app's process that still sees the host's file systems: puts it into its cgroups.
void joinCgroups(const AppIsolation& isolation);

}  // namespace actool::run::native
