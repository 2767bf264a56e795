// Sockets that a service manager listens on for the pod (sd_listen_fds(3)), and whose they are.
#pragma once

#include <string>
#include <vector>

#include "core/base/fd.h"
#include "run/native/plan.h"

namespace actool::run::native {

struct ListenSocket {
  UniqueFd fd;
  std::string name;
};

// Takes over the sockets that $LISTEN_FDS passes to this process; none when $LISTEN_PID is another.
// Their descriptors are close-on-exec from here on.
std::vector<ListenSocket> takeListenSockets();

// By app of the plan: a socket goes to the app with a socket-activated port that it is named after
// (FileDescriptorName= of the unit), else to the one whose port number it listens on, else to the
// only app that has such ports. Throws Error for a socket that is nobody's.
std::vector<std::vector<ListenSocket>> assignListenSockets(std::vector<ListenSocket> sockets,
                                                           const PodPlan& plan);

// For an app's process, last before its program: gives the sockets their numbers from 3 on.
void placeListenSockets(const std::vector<ListenSocket>& sockets);

}  // namespace actool::run::native
