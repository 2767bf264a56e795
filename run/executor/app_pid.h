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
// The app's process as a pidfd. Throws NotFoundError when it does not run: there is no PID of it,
// or that process is none of the stage1 process `parent`'s children.
UniqueFd openApp(const PodLayout& layout, const schema::AcName& app, pid_t parent);

}  // namespace actool::run::executor
