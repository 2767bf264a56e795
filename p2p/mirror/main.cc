// actool-mirror: private mirrors as static sites.
#include <sys/stat.h>

#include "core/cli/tool.h"
#include "p2p/mirror/commands.h"

int main(int argc, char** argv) {
  using namespace actool;
  // What is made here is for a web server of another user to read.
  ::umask(022);
  return cli::toolMain(argc, argv,
                       {.program = "actool-mirror",
                        .summary = "Mirrors of images as static web sites",
                        .subcommands = mirror::subcommands()});
}
