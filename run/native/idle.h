// Waiting of processes that are there as long as a pod.
#pragma once

#include <poll.h>

#include <vector>

namespace actool::run::native {

// poll(2). With no timeout (-1), and when nothing has come for a second, the pages of the program's
// code and constants are let go of before it waits on: what a process keeps while its pod runs is
// then what it wrote. They are the page cache's, and come back when they are needed.
int pollAndRest(std::vector<pollfd>& fds, int timeout);

}  // namespace actool::run::native
