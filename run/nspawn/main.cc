// The stage1 "nspawn".
#include <algorithm>
#include <cstddef>

#include "run/executor/pod_entry.h"
#include "run/native/stage1_main.h"
#include "run/nspawn/driver.h"
#include "run/nspawn/inside.h"

namespace actool::run::nspawn {
namespace {

std::optional<IsolatorState> verdict(const schema::Isolator& isolator, const native::AppPlan*) {
  if (isolator.name.str() != "os/unix/sysctl") return std::nullopt;
  // The network is all that a pod's machines have together.
  const auto isOfNetwork = [](const auto& one) { return one.key().starts_with("net."); };
  const auto& items = isolator.value.items();
  const auto ofNetwork = std::count_if(items.begin(), items.end(), isOfNetwork);
  if (ofNetwork == static_cast<std::ptrdiff_t>(isolator.value.size())) return std::nullopt;
  using State = IsolatorState::State;
  return IsolatorState{"", "", ofNetwork == 0 ? State::ignored : State::changed,
                       "only those of the network: each machine has its own other namespaces"};
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
