// The kernel that the guest boots: a distribution's, as it is.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/fs.h"

namespace actool::run::vm {

// A kernel image to use instead of the newest in /boot, by its path.
inline constexpr const char* kKernelVariable = "ACTOOL_VM_KERNEL";

struct GuestKernel {
  Path image;
  Path modulesDir;                   // .../lib/modules/RELEASE
  std::vector<std::string> modules;  // below it, in the order to load them
};

// Of `image` when that is not empty, else the newest /boot/vmlinuz-* that has the modules called
// `names`, built in or not. Modules are looked for in ../lib/modules beside the image's directory,
// then in /lib/modules. NotFoundError says what to install.
GuestKernel findKernel(const Path& image, const std::vector<std::string>& names);

// The release ("6.1.0-13-amd64") in the header of an x86 bzImage, of which `head` is the beginning,
// or of a file called `name` ("vmlinuz-RELEASE"). Empty when neither says it.
std::string kernelRelease(std::string_view head, std::string_view name);

}  // namespace actool::run::vm
