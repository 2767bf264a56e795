// actool-machine: a process beside a pod that has it among systemd's machines. `actool run` starts
// it where systemd runs (run/machine.h).
#include <poll.h>

#include <cerrno>
#include <memory>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/cli/tool.h"
#include "run/commands.h"
#include "run/machined/entry.h"
#include "run/pod_wait.h"

namespace actool::run {
namespace {

void waitForEnd(int process) {
  pollfd fd = {process, POLLIN, 0};
  while (::poll(&fd, 1, -1) < 0) {
    if (errno != EINTR) throwErrno("waiting for the pod");
  }
}

int tell(cli::Globals& globals, const std::string& word) {
  const PodsLayout pods = podsOf(globals);
  const Pod pod = waitReady(pods, Pod::find(pods, word), std::nullopt);
  const pid_t leader = pod.pid().value_or(-1);
  const UniqueFd process = openPodProcess(pod);
  if (!process) throw Error("pod " + pod.uuid().str() + " has ended");
  const MachineEntry entry(pod.uuid(), leader);
  log::debug("pod {} is machine {}", pod.uuid().str(), entry.name());
  waitForEnd(process.get());
  return 0;
}

cli::Subcommand command() {
  return {.name = "machine",
          .summary = "Has a running pod among systemd's machines",
          .details =
              "actool machine UUID\n\n"
              "Registers the pod with systemd-machined as rkt-UUID, where `machinectl list` "
              "shows it, and takes it back when the pod ends, which is when this command ends. "
              "`actool run` starts it for root's pods where systemd runs, and does not care "
              "whether it succeeds; --debug says why it did not.\n\n"
              "Example:\n"
              "  actool machine 5bc080ca & machinectl status rkt-5bc080ca-...",
          .setup = [](cli::Options& app, cli::Globals& globals) -> std::function<int()> {
            auto uuid = std::make_shared<std::string>();
            app.add("UUID", *uuid, "the pod's UUID or the beginning of it").required();
            return [uuid, &globals] { return tell(globals, *uuid); };
          }};
}

}  // namespace
}  // namespace actool::run

int main(int argc, char** argv) {
  return actool::cli::toolMain(argc, argv,
                               {.program = "actool-machine",
                                .summary = "Has a running pod among systemd's machines",
                                .subcommands = {actool::run::command()}});
}
