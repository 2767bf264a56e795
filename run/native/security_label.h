// What SELinux and AppArmor are told of an app (spec/ace.md, os/linux/selinux-context and
// os/linux/apparmor-profile).
#pragma once

#include <string>
#include <vector>

#include "core/base/fs.h"
#include "core/schema/isolator.h"

namespace actool::run::native {

struct SecurityLabel {
  enum class Kind { selinux, apparmor };
  Kind kind;
  std::string value;  // a context "user:role:type:level", or a profile's name
};

// The labels for an app; its own isolators hold over the pod's. Throws Error when this host does
// not have what one of them is for, or not the profile: a pod that was to be confined does not run
// without. `sys` is where sysfs is mounted.
std::vector<SecurityLabel> securityLabels(const schema::Isolators& pod,
                                          const schema::Isolators& app, const Path& sys = "/sys");

// For a process in the app's root, where /proc is mounted: they hold once it has executed the app.
void setSecurityLabels(const std::vector<SecurityLabel>& labels);

}  // namespace actool::run::native
