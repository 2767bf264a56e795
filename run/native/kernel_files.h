// /proc and /sys of an app, and what of them it must not see or change.
#pragma once

#include <string>
#include <vector>

#include "core/base/fd.h"

namespace actool::run::native {

// Mount proc and, read-only, sysfs in the app's root. `protect`: paths that show or steer the host
// are hidden or read-only. The first must run in the pod's PID namespace, and returns the mount;
// the second in its network namespace. An image in which /proc or /sys is a symbolic link is
// refused: protections would be put in a place of the image's choosing.
UniqueFd mountProc(int root, bool protect);
void mountSys(int root, bool protect);

// Those paths, for executors that have them hidden or made read-only by somebody else.
std::vector<std::string> hiddenKernelFiles();
std::vector<std::string> readOnlyKernelFiles();

// Opens the directory of a file system that every app has ("/proc"), making it when it is missing.
// Throws Error when the image has a symbolic link or no directory there.
UniqueFd apiDirectory(int root, const char* name);

}  // namespace actool::run::native
