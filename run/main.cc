#include "run/commands.h"

int main(int argc, char** argv) {
  using namespace actool::run;
  return actool::cli::toolMain(
      argc, argv,
      {.program = "actool-run",
       .summary = "Runs pods and looks after them",
       .subcommands = {podRunCommand(), prepareCommand(), runPreparedCommand(), listCommand(),
                       statusCommand(), catManifestCommand(), enterCommand(), exportCommand(),
                       configCommand(), stopCommand(), rmCommand(), gcCommand()}});
}
