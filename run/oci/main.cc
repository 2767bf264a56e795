// The stage1 "oci".
#include "run/executor/pod_entry.h"
#include "run/native/stage1_main.h"
#include "run/oci/driver.h"

namespace actool::run::oci {
namespace {

int runPod(const native::PodPlan& plan, const PodLayout& layout) {
  OciDriver driver(plan, layout);
  return executor::runApps(plan, layout, driver);
}

int runEntry(const std::vector<std::string>& arguments) {
  return executor::runEntry(arguments, {}, runPod);
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
