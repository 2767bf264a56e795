// What a resource isolator (spec/ace.md, Resource Isolators) is in files of a cgroup.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/schema/isolator.h"

namespace actool::run::native {

struct CgroupWrite {
  std::string file;
  std::string value;
  bool mayBeMissing = false;  // a kernel without that file does less, and well enough
};

struct CgroupSettings {
  std::string controller;  // by its name in that version
  std::vector<CgroupWrite> writes;
  std::string change;  // what is done otherwise than asked for; empty when nothing is
};

// resource/{cpu,memory,block-bandwidth,block-iops} and os/linux/cpu-shares.
bool isCgroupIsolator(std::string_view name);

// What sets them in version 1 or 2 (`unified`). A limit of memory is one of memory and swap
// together. `blockDevices` are those that there are, as "8:0". Nothing when the isolator has no
// part that version knows.
CgroupSettings cgroupSettings(const schema::Isolators& isolators, const schema::Isolator& isolator,
                              bool unified, const std::vector<std::string>& blockDevices);

// The controller of an isolator: "memory"; "blkio" in version 1 where version 2 has "io".
std::string controllerOf(std::string_view isolator, bool unified);

// Block devices of this machine, as "8:0".
std::vector<std::string> blockDevices();

}  // namespace actool::run::native
