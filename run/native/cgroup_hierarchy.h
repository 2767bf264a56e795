// The cgroup hierarchies of this machine as they are mounted: version 1, 2, or both at once.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/fs.h"

namespace actool::run::native {

struct CgroupHierarchy {
  bool unified = false;               // version 2
  std::set<std::string> controllers;  // "memory", "cpu"; of version 2, what its root has
  Path mountPoint;
  Path own;  // the directory of this process's cgroup in it; `mountPoint` or below
};

// From the texts of /proc/self/mountinfo and /proc/self/cgroup. Hierarchies that are mounted more
// than once are there once, those in which this process's cgroup cannot be seen are left out.
// `root` is put in front of the mount points, for tests.
std::vector<CgroupHierarchy> parseHierarchies(std::string_view mountinfo, std::string_view cgroup,
                                              const Path& root = {});

// Those of this process.
std::vector<CgroupHierarchy> ownHierarchies();

// The hierarchy that has the controller; null when none has. Version 1 is preferred: where both
// are mounted, what version 2 lists does not exist in version 1.
const CgroupHierarchy* findController(const std::vector<CgroupHierarchy>& hierarchies,
                                      const std::string& controller);

}  // namespace actool::run::native
