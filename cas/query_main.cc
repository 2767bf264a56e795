#include "cas/image_commands.h"
#include "core/cli/tool.h"

int main(int argc, char** argv) {
  using namespace actool;
  const cli::Tool tool{.program = "actool-image",
                       .summary = "The store of images: questions to it",
                       .subcommands = {cas::listSubcommand(), cas::resolveSubcommand()}};
  return cli::toolMain(argc, argv, tool);
}
