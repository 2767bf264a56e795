// Apps as OCI containers: writes a bundle each and has a runtime start it.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "core/base/fd.h"
#include "run/executor/app_driver.h"
#include "run/executor/holder.h"
#include "run/oci/runtime.h"

namespace actool::run::oci {

// A container is started detached and its first process becomes a child of ours: nothing of the
// runtime stays in memory. Handlers are containers too, with the same root. What containers of a
// pod share are the namespaces of a NamespaceHolder and /dev/shm.
class OciDriver : public executor::AppDriver {
 public:
  // Neither is owned; both have to outlive this object. Becomes the reaper of orphans.
  OciDriver(const native::PodPlan& plan, const PodLayout& layout);

  pid_t start(const native::AppPlan& app, executor::AppStep step,
              const std::vector<std::string>& argv) override;
  void signal(pid_t pid, int signal) override;
  void ended(const native::AppPlan& app, executor::AppStep step) override;
  native::Terminal* terminal() override { return terminal_.get(); }

 private:
  void mountShm() const;
  int openRoot(const native::AppPlan& app);
  std::string id(const native::AppPlan& app, executor::AppStep step) const;
  bool wantsTerminal() const;

  const native::PodPlan& plan_;
  const PodLayout& layout_;
  Runtime runtime_;
  executor::NamespaceHolder holder_;
  std::map<std::string, UniqueFd> roots_;  // of the apps that were started once
  std::unique_ptr<native::Terminal> terminal_;
};

// The `enter` entry point: replaces this process by the runtime's exec.
int enterEntry(const std::vector<std::string>& arguments);
// The `gc` entry point: has the runtime forget containers of a pod that was killed.
int gcEntry(const std::vector<std::string>& arguments);

}  // namespace actool::run::oci
