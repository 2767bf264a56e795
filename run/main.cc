// `actool`: the dispatcher, and under the names of their own (actool-run, actool-list, ...) or by
// it the commands for pods.
#include "core/base/process.h"
#include "core/cli/dispatcher.h"
#include "run/commands.h"

namespace actool::run {
namespace {

int podsMain(int argc, char** argv) {
  keepHeap();
  std::vector<cli::Subcommand> commands = {
      podRunCommand(), prepareCommand(),     runPreparedCommand(), listCommand(), statusCommand(),
      enterCommand(),  catManifestCommand(), attachCommand(),      logsCommand(), exportCommand(),
      configCommand(), stopCommand(),        rmCommand(),          gcCommand()};
  for (cli::Subcommand& command : appCommands())
    commands.push_back(std::move(command));
  return cli::toolMain(argc, argv,
                       {.program = "actool-run",
                        .summary = "Runs pods and looks after them",
                        .subcommands = std::move(commands)});
}

}  // namespace
}  // namespace actool::run

int main(int argc, char** argv) {
  using namespace actool;
  if (argc > 0 && cli::isToolName(argv[0])) return run::podsMain(argc, argv);
  return cli::dispatcherMain(argc, argv, &run::podsMain);
}
