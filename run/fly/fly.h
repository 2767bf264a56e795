// fly: apps in the host's own namespaces, in a changed root directory and nothing more. For what is
// to steer the host itself and only ships as an image; rkt's stage1-fly is the model.
#pragma once

#include "run/executor/app_driver.h"
#include "run/native/isolation.h"

namespace actool::run::fly {

// Each app gets a mount namespace, in which its root has the host's /dev, /proc and /sys, the
// common files and the volumes; its user, groups and environment; and the capabilities that its
// isolators leave it, all by default.
class FlyDriver : public executor::AppDriver {
 public:
  // None is owned; all have to outlive this object.
  FlyDriver(const native::PodPlan& plan, const PodLayout& layout,
            const native::Isolation& isolation)
      : plan_(plan), layout_(layout), isolation_(isolation) {}

  pid_t start(const native::AppPlan& app, executor::AppStep step,
              const std::vector<std::string>& argv) override;
  void signal(pid_t pid, int signal) override;
  void ended(const native::AppPlan& app, executor::AppStep step) override;

 private:
  const native::PodPlan& plan_;
  const PodLayout& layout_;
  const native::Isolation& isolation_;
};

}  // namespace actool::run::fly
