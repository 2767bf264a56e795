// Which process an app is, for entry points other than `run`: stage1/rootfs/rkt/pids/<app> holds
// its PID, here in the host's view, as long as it runs.
#pragma once

#include <sys/types.h>

#include "core/base/fd.h"
#include "core/schema/identifier.h"
#include "run/pod_layout.h"

namespace actool::run::executor {

void writeAppPid(const PodLayout& layout, const schema::AcName& app, pid_t pid);
void removeAppPid(const PodLayout& layout, const schema::AcName& app);

// The number alone. NotFoundError when the app does not run.
pid_t appPid(const PodLayout& layout, const schema::AcName& app);
// The app's process as a pidfd; waits for an app that has not begun. Throws NotFoundError when it
// does not run: it or the stage1 process `parent` has ended, or its process is none of `parent`'s
// children.
UniqueFd openApp(const PodLayout& layout, const schema::AcName& app, pid_t parent);

}  // namespace actool::run::executor
