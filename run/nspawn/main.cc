// The stage1 "nspawn".
#include "run/executor/pod_entry.h"
#include "run/native/stage1_main.h"
#include "run/nspawn/driver.h"
#include "run/nspawn/inside.h"

namespace actool::run::nspawn {
namespace {

std::optional<IsolatorState> verdict(const schema::Isolator& isolator, const native::AppPlan*) {
  if (isolator.name.str() != "os/unix/sysctl") return std::nullopt;
  return IsolatorState{"", "", IsolatorState::State::ignored,
                       "each machine has its own namespaces"};
}

int runEntry(const std::vector<std::string>& arguments) {
  return executor::runEntry(arguments, verdict,
                            [&](const native::PodPlan& plan, const PodLayout& layout,
                                const native::Isolation& isolation) {
                              NspawnDriver driver(plan, layout, isolation, arguments);
                              return executor::runApps(plan, layout, driver);
                            });
}

}  // namespace
}  // namespace actool::run::nspawn

int main(int argc, char** argv) {
  using namespace actool::run;
  return native::stage1Main(argc, argv, "nspawn",
                            {{"run", nspawn::runEntry},
                             {"enter", nspawn::enterEntry},
                             {"gc", executor::gcEntry},
                             {"stop", executor::stopEntry},
                             {"inside", nspawn::insideEntry}});
}
