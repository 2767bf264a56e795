// The network of a pod that is not root's: a network namespace whose traffic slirp4netns(1), a
// process of the user's own, makes connections of. No right on the host is needed.
//
// The pod has 10.0.2.100; 10.0.2.2 leads to the world, 10.0.2.3 is a name server that asks the
// host's. What listens on the host's loopback interface only is not reached from the pod. Of the
// pod only the ports are reached that its manifest exposes: slirp4netns listens there.
#pragma once

#include "core/base/fd.h"
#include "core/base/process.h"
#include "run/native/options.h"
#include "run/pod_layout.h"

namespace actool::run::native {

// As long as it lives the network does. It ends with this process, whatever ends that.
class UserNetwork {
 public:
  // The network is there when this returns; this process is not in it. Writes what the apps'
  // /etc/resolv.conf is to be, unless the options say that. The working directory is the pod's.
  // Throws Error when there is no slirp4netns, or it fails, or can't listen at a port.
  UserNetwork(const RunOptions& options, const PodLayout& layout);

  int space() const { return space_.get(); }  // the network namespace

 private:
  UniqueFd space_;
  Child slirp_;
};

}  // namespace actool::run::native
