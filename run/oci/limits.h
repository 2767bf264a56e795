// Isolators as OCI runtimes take them (config-linux.md: Control groups, Seccomp).
#pragma once

#include <map>
#include <string>

#include "core/base/json.h"
#include "core/schema/isolator.h"

namespace actool::run::oci {

struct ContainerLimits {
  Json resources = Json::object();             // members of linux.resources
  std::map<std::string, std::string> changes;  // by isolator: what is otherwise than asked for
};

// Those of the app's isolators that need a cgroup, for the version of cgroups that is mounted here.
ContainerLimits containerLimits(const schema::Isolators& isolators);

// linux.seccomp of an app that asks for a filter; null for one that does not, or wants none. Throws
// Error on a call or set that does not exist.
Json containerSeccomp(const schema::Isolators& isolators);

}  // namespace actool::run::oci
