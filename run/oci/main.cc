// The stage1 "oci".
#include "run/executor/pod_entry.h"
#include "run/native/stage1_main.h"
#include "run/oci/driver.h"
#include "run/oci/limits.h"

namespace actool::run::oci {
namespace {

// What the runtime is told in the container's configuration, and what has no place there.
std::optional<IsolatorState> verdict(const schema::Isolator& isolator, const native::AppPlan* app) {
  const std::string& name = isolator.name.str();
  const auto ignored = [](const char* why) {
    return IsolatorState{"", "", IsolatorState::State::ignored, why};
  };
  if (native::isCgroupIsolator(name)) {
    if (app == nullptr) return ignored("containers have no cgroup together");
    const std::string change = containerLimits(app->app.isolators).changes[name];
    return IsolatorState{
        "", "", change.empty() ? IsolatorState::State::applied : IsolatorState::State::changed,
        change};
  }
  return std::nullopt;
}

int runPod(const native::PodPlan& plan, const PodLayout& layout, const native::Isolation&) {
  OciDriver driver(plan, layout);
  return executor::runApps(plan, layout, driver);
}

int runEntry(const std::vector<std::string>& arguments) {
  return executor::runEntry(arguments, verdict, runPod);
}

}  // namespace
}  // namespace actool::run::oci

int main(int argc, char** argv) {
  using namespace actool::run;
  return native::stage1Main(argc, argv, "oci",
                            {{"run", oci::runEntry},
                             {"enter", oci::enterEntry},
                             {"gc", oci::gcEntry},
                             {"stop", executor::stopEntry}});
}
