// The stage1 "vm". Its program is the guest's first one too.
#include "run/executor/pod_entry.h"
#include "run/native/stage1_main.h"
#include "run/vm/enter_client.h"
#include "run/vm/guest/guest.h"
#include "run/vm/host.h"

namespace actool::run::vm {
namespace {

int runEntry(const std::vector<std::string>& arguments) {
  return executor::runEntry(arguments, [&](const native::PodPlan& plan, const PodLayout& layout) {
    return runMachine(plan, layout, arguments);
  });
}

}  // namespace
}  // namespace actool::run::vm

int main(int argc, char** argv) {
  using namespace actool::run;
  return native::stage1Main(argc, argv, "vm",
                            {{"run", vm::runEntry},
                             {"enter", vm::enterEntry},
                             {"gc", executor::gcEntry},
                             {"stop", executor::stopEntry},
                             {"init", vm::initEntry}});
}
