// /proc and /sys of an app, and what of them it must not see or change.
#pragma once

#include <string>
#include <vector>

#include "core/base/fd.h"

namespace actool::run::native {

// Hides what is there behind one mount and its copies.
class Screen {
 public:
  explicit Screen(UniqueFd (*make)()) : make_(make) {}
  // Nothing happens when there is no `path` below `mount`.
  void hide(int mount, const char* path);

 private:
  UniqueFd (*make_)();
  UniqueFd original_;
  UniqueFd next_;
};

// Mounts proc and, read-only, sysfs in the app's root. `protect`: paths that show or steer the host
// are hidden or read-only. An image in which /proc or /sys is a symbolic link is refused:
// protections would be put in a place of the image's choosing.
class KernelFiles {
 public:
  KernelFiles(int root, bool protect);
  // In the pod's PID namespace. The mount.
  UniqueFd mountProc();
  // In the pod's network namespace.
  void mountSys();

 private:
  int root_;
  bool protect_;
  Screen directories_;
};

// Those paths, for executors that have them hidden or made read-only by somebody else.
std::vector<std::string> hiddenKernelFiles();
std::vector<std::string> readOnlyKernelFiles();

// Opens the directory of a file system that every app has ("/proc"), making it when it is missing.
// Throws Error when the image has a symbolic link or no directory there.
UniqueFd apiDirectory(int root, const char* name);

}  // namespace actool::run::native
