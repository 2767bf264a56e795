// The `app/add`, `app/start`, `app/stop` and `app/rm` entry points of pods that change while they
// run (docs/stage1-interface.md).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "run/pod_layout.h"

namespace actool::run::native {

// The name of --app; --debug, --uuid and the switches of `run` may stand beside it. UsageError.
std::string parseAppEntry(const std::vector<std::string>& arguments);

// Checks that the app can be run as the pod's manifest has it. Throws Error.
void addApp(const std::string& app, const PodLayout& layout);
// These ask the pod and wait for the answer: until the app has begun, has ended, is forgotten.
void startApp(const std::string& app);
void stopApp(const std::string& app);
void removeApp(const std::string& app);

}  // namespace actool::run::native
