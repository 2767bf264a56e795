// The network namespace of a pod that is in networks: made, joined to them, and left, with the help
// of another program (net/net_main.cc).
#pragma once

#include <optional>

#include "core/base/fd.h"
#include "run/native/options.h"
#include "run/native/user_network.h"
#include "run/pod_layout.h"

namespace actool::run::native {

class PodNetwork {
 public:
  // When the options name networks: this process, which has to be single-threaded, is in the pod's
  // new network namespace afterwards. Throws what the helper said.
  PodNetwork(const RunOptions& options, const PodLayout& layout);

  bool contained() const { return bool(own_); }
  // Undoes it once the pod has ended. A failure is a warning: gc tries again.
  void leave();

 private:
  const RunOptions& options_;
  UniqueFd host_;
  UniqueFd own_;
  std::optional<UserNetwork> user_;  // in place of the others
};

// For gc: undoes what the pod has left, all of it when it was killed.
void leaveNetworksOf(const PodLayout& layout, const Uuid& pod, const std::string& localConfig);

}  // namespace actool::run::native
