// The stage1 "fly".
#include "run/executor/pod_entry.h"
#include "run/fly/enter.h"
#include "run/fly/fly.h"
#include "run/native/stage1_main.h"

namespace actool::run::fly {
namespace {

int runPod(const native::PodPlan& plan, const PodLayout& layout,
           const native::Isolation& isolation) {
  FlyDriver driver(plan, layout, isolation);
  return executor::runApps(plan, layout, driver);
}

std::optional<IsolatorState> verdict(const schema::Isolator& isolator, const native::AppPlan*) {
  if (isolator.name.str() != "os/unix/sysctl") return std::nullopt;
  return IsolatorState{"", "", IsolatorState::State::ignored, "the pod has the host's namespaces"};
}

int runEntry(const std::vector<std::string>& arguments) {
  return executor::runEntry(arguments, verdict, runPod);
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
