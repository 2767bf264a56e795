// Apps as machines of systemd-nspawn(1), one each.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "core/base/fd.h"
#include "run/executor/app_driver.h"
#include "run/executor/holder.h"
#include "run/native/isolation.h"

namespace actool::run::nspawn {

// PID 1 of a machine is our own program (inside.h), which becomes the app in a child. Machines of a
// pod share their network namespace and nothing else. The Debian package systemd-container has
// systemd-nspawn.
class NspawnDriver : public executor::AppDriver {
 public:
  // `arguments` are those of the run entry point. None is owned; all have to outlive this object.
  // NotFoundError when there is no systemd-nspawn.
  NspawnDriver(const native::PodPlan& plan, const PodLayout& layout,
               const native::Isolation& isolation, const std::vector<std::string>& arguments);

  pid_t start(const native::AppPlan& app, executor::AppStep step,
              const std::vector<std::string>& argv) override;
  // SIGKILL ends the app; other signals go to the machine's PID 1, which passes them on.
  void signal(pid_t pid, int signal) override;
  void ended(const native::AppPlan& app, executor::AppStep step) override;

 private:
  void openRoot(const native::AppPlan& app);

  const native::PodPlan& plan_;
  const PodLayout& layout_;
  const native::Isolation& isolation_;
  const std::vector<std::string>& arguments_;
  Pipe lifeLine_;  // machines end when it closes: systemd-nspawn alone leaves them running
  Path program_;
  std::optional<executor::NamespaceHolder> holder_;  // none in the host's network
  std::map<std::string, UniqueFd> roots_;            // of the apps that were started once
};

// The `enter` entry point.
int enterEntry(const std::vector<std::string>& arguments);

}  // namespace actool::run::nspawn
