#include "run/commands.h"

int main(int argc, char** argv) {
  using namespace actool::run;
  std::vector<actool::cli::Subcommand> commands = {
      podRunCommand(), prepareCommand(),     runPreparedCommand(), listCommand(), statusCommand(),
      enterCommand(),  catManifestCommand(), attachCommand(),      logsCommand(), exportCommand(),
      configCommand(), stopCommand(),        rmCommand(),          gcCommand()};
  for (actool::cli::Subcommand& command : appCommands())
    commands.push_back(std::move(command));
  return actool::cli::toolMain(argc, argv,
                               {.program = "actool-run",
                                .summary = "Runs pods and looks after them",
                                .subcommands = std::move(commands)});
}
