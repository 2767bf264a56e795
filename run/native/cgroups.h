// The cgroups of one pod: made where an isolator needs one, removed with the pod.
//
// A pod has a cgroup "actool-UUID" in each hierarchy whose controllers it uses, and below it one
// for each app. In version 1 it lies in this process's own cgroup; in version 2 in the nearest one
// above it (or itself) that this process may divide and that has the controller to give: a
// cgroup with processes in it may have no children with controllers.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/uuid.h"
#include "run/native/cgroup_hierarchy.h"
#include "run/native/cgroup_settings.h"

namespace actool::run::native {

class PodCgroups {
 public:
  PodCgroups(std::vector<CgroupHierarchy> hierarchies, const Uuid& pod,
             std::vector<std::string> apps);

  // Writes the settings of `isolator`, one of `isolators`, to the cgroup of an app, or the pod's.
  // Returns what was done otherwise than asked for (CgroupSettings::change). Throws Error when the
  // isolator cannot be applied here.
  std::string apply(const schema::Isolators& isolators, const schema::Isolator& isolator,
                    std::optional<std::size_t> app);

  // One app more, or again one of that name, whose number it returns. Throws SystemError.
  std::size_t addApp(const std::string& name);
  // Takes an app's cgroups away, which have no processes any more or only such as are just going.
  // Other apps' numbers change.
  void removeApp(const std::string& name);

  // The files to write "0" to for a process that is to be in the app's cgroups.
  std::vector<Path> joinFiles(std::size_t app) const;
  // All that were made, parents first.
  const std::vector<Path>& directories() const { return directories_; }

 private:
  const Path& podDirectory(const CgroupHierarchy& hierarchy, const std::string& controller);
  Path makeBelow(const CgroupHierarchy& hierarchy, const Path& parent);
  void make(Path directory);
  const std::vector<std::string>& devices();

  std::vector<CgroupHierarchy> hierarchies_;
  Uuid uuid_;
  std::string name_;
  std::vector<std::string> apps_;
  std::map<Path, Path> pods_;  // by mount point
  std::vector<Path> directories_;
  std::optional<std::vector<std::string>> devices_;
};

// Removes the cgroups of a pod, parents first in the list. They have no processes any more, or
// only such as are just going. Paths that are no cgroup of that pod are left alone.
void removeCgroups(const std::vector<Path>& directories, const Uuid& pod);

}  // namespace actool::run::native
