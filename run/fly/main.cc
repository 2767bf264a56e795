// The stage1 "fly".
#include "run/executor/pod_entry.h"
#include "run/fly/enter.h"
#include "run/fly/fly.h"
#include "run/native/stage1_main.h"

namespace actool::run::fly {
namespace {

int runPod(const native::PodPlan& plan, const PodLayout& layout) {
  FlyDriver driver(plan, layout);
  return executor::runApps(plan, layout, driver);
}

int runEntry(const std::vector<std::string>& arguments) {
  return executor::runEntry(arguments,
                            {"os/linux/seccomp-retain-set", "os/linux/seccomp-remove-set"}, runPod);
}

}  // namespace
}  // namespace actool::run::fly

int main(int argc, char** argv) {
  using namespace actool::run;
  return native::stage1Main(argc, argv, "fly",
                            {{"run", fly::runEntry},
                             {"enter", fly::enterEntry},
                             {"gc", executor::gcEntry},
                             {"stop", executor::stopEntry}});
}
