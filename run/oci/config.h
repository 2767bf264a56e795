// An app as the configuration of an OCI container (OCI runtime spec 1.0.2, config.md and
// config-linux.md).
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "core/base/json.h"
#include "run/native/plan.h"
#include "run/native/users.h"

namespace actool::run::oci {

struct ContainerSpec {
  // What is not in the plan. Neither is owned.
  const native::PodPlan& pod;
  const native::AppPlan& app;
  Path rootfs = {};  // absolute
  native::Identity identity = {};
  std::vector<std::string> environment = {};  // "NAME=value"
  std::vector<std::string> argv = {};
  pid_t namespaces = 0;  // a process whose PID, network, IPC and UTS namespaces the container joins
  Path shm = {};         // the pod's shared memory, to be bound on /dev/shm
  std::string cgroup = {};  // below the root of each hierarchy
  bool terminal = false;
  // The capabilities that this process could hand on at all, as a mask.
  std::uint64_t available = 0;
};

// config.json. The container has the plan's root, user, capabilities, no_new_privs and volumes; the
// pod's namespaces and a mount namespace of its own; proc, sysfs (read-only), a devtmpfs-like /dev,
// devpts and mqueue; the hidden and read-only kernel files that the native stage1 has, unless
// the pod's options say otherwise.
Json containerConfig(const ContainerSpec& spec);

}  // namespace actool::run::oci
