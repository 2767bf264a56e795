// What has been set up for a pod, in its net-info.json: enough to undo it, whatever happened to
// the process that did it.
#pragma once

#include <string>
#include <vector>

#include "run/native/net/network_config.h"
#include "run/pod_layout.h"

namespace actool::run::native {

// A network that a pod is, or was about to be, in.
struct JoinedNetwork {
  Network network;
  std::string interface;
  Json result;  // of the last plugin; null before the first has ended

  std::vector<std::string> addresses() const;  // of the result: "172.16.28.2/24"
};

// docs/stage1-interface.md has the format. Replaced as a whole.
void writeNetState(const PodLayout& layout, const std::vector<JoinedNetwork>& networks);
// Empty when there is no such file. Throws Error when it is not as writeNetState() writes it.
std::vector<JoinedNetwork> readNetState(const Path& file);

}  // namespace actool::run::native
