// What holds the namespaces of a pod whose apps are containers: they come and go, it stays.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>

#include "run/native/channel.h"
#include "run/native/plan.h"

namespace actool::run::executor {

// A process in new PID, network, IPC and UTS namespaces, those of `kinds` (CLONE_NEW*) but for what
// the pod is to have of the host, with the host name and the pod's sysctls of these namespaces set
// and the loopback interface up. It is PID 1 there, reaps what is left to it, and takes everything
// else in its PID namespace along when it ends: when this object goes, or when its parent dies.
// Going reaps every child of this process that has ended.
class NamespaceHolder {
 public:
  // Throws Error when a namespace could not be made or set up.
  NamespaceHolder(const native::PodPlan& plan, std::uint64_t kinds);
  ~NamespaceHolder();
  NamespaceHolder(const NamespaceHolder&) = delete;
  NamespaceHolder& operator=(const NamespaceHolder&) = delete;

  pid_t pid() const { return pid_; }

 private:
  std::optional<native::Channel> channel_;  // closed when we go, however we go
  pid_t pid_ = -1;
};

}  // namespace actool::run::executor
