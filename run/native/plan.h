// What is to be run, worked out before anything is done: the arguments of the entry point and the
// pod's manifest become plain data, checked, and what follows is a straight list of steps.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/fs.h"
#include "core/schema/app.h"
#include "core/schema/pod_manifest.h"
#include "run/native/options.h"
#include "run/native/seccomp.h"
#include "run/native/security_label.h"
#include "run/native/stdio.h"
#include "run/native/sysctl.h"
#include "run/pod_layout.h"

namespace actool::run::native {

// One volume in one app.
struct MountPlan {
  std::string volume;  // its name, for messages
  Path source;         // absolute, or relative to the pod's directory for kind "empty"
  bool ofHost = false;
  std::string target;  // absolute, inside the app's root
  bool readOnly = false;
  bool recursive = true;
};

struct AppPlan {
  explicit AppPlan(schema::AcName appName) : name(std::move(appName)) {}

  schema::AcName name;
  schema::App app;
  Path rootfs;  // relative to the pod's directory
  bool readOnlyRoot = false;
  std::vector<MountPlan> mounts;  // by target; none is inside another
  // One bit for each capability of the bounding set; nothing: all are left alone.
  std::optional<std::uint64_t> capabilities;
  bool noNewPrivileges = false;
  StdioModes stdio{};
  std::optional<FilterProgram> filter;  // of system calls
  std::vector<SecurityLabel> labels;
  std::vector<std::string> preStart;  // empty: no such handler
  std::vector<std::string> postStop;

  std::string shown() const { return "app \"" + name.str() + "\""; }
};

struct PodPlan {
  RunOptions options;
  std::string hostname;
  std::vector<AppPlan> apps;    // empty only in a pod that changes
  schema::Isolators isolators;  // the pod's; those of an app are in its `app`
  Sysctls sysctls;
  int userNamespace = -1;  // of `options.users`, once it is made; not owned
};

// Reads the manifests in `layout` and makes the plan. Throws Error on anything that cannot be
// run as the manifest has it: no app, an app with nothing to execute, several apps with
// --interactive, mounts inside one another, a capability or system call that does not exist, ...
PodPlan makePlan(const RunOptions& options, const PodLayout& layout);

// The plan of one app, the rules of makePlan() applied. `image` is the text of its image's
// manifest, used when the pod's manifest has no "app" object; it may be empty otherwise.
AppPlan planApp(const schema::RuntimeApp& runtime, const schema::PodManifest& pod,
                const RunOptions& options, const PodLayout& layout, std::string_view image);

// The same of the app called `name` as the pod's manifest is now. NotFoundError.
AppPlan loadAppPlan(const std::string& name, const RunOptions& options, const PodLayout& layout);

}  // namespace actool::run::native
