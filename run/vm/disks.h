// What of a pod's images the guest gets as disks: the stored tars and their EROFS indexes, as they
// are.
#pragma once

#include <string>
#include <vector>

#include "run/native/plan.h"
#include "run/pod_layout.h"
#include "run/vm/machine.h"

namespace actool::run::vm {

// The root of an app by the serial numbers of disks. No index: its tree was unpacked, and it is
// shared instead.
struct AppRoot {
  std::string index;                 // the EROFS file system
  std::vector<std::string> devices;  // its extra devices, in order
};

struct PodDisks {
  std::vector<Disk> disks;
  std::vector<AppRoot> roots;  // by app
};

// An image in several apps is one set of disks. Those for which kMostDisks do not suffice are
// shared.
PodDisks findDisks(const native::PodPlan& plan, const PodLayout& layout);

}  // namespace actool::run::vm
