// actool-p2p: images from and to others. The only program that links libtorrent.
#include "core/cli/tool.h"
#include "p2p/commands.h"

int main(int argc, char** argv) {
  using namespace actool;
  return cli::toolMain(argc, argv,
                       {.program = "actool-p2p",
                        .summary = "Images from peer to peer",
                        .subcommands = {p2p::torrentSubcommand(), p2p::getSubcommand(),
                                        p2p::seedSubcommand(), p2p::seedStatusSubcommand()}});
}
