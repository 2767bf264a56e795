#include <iterator>
#include <utility>

#include "cas/aci_commands.h"
#include "cas/bundle/bundle_commands.h"
#include "cas/image_commands.h"
#include "core/cli/tool.h"

int main(int argc, char** argv) {
  using namespace actool;
  cli::Tool tool{.program = "actool-image",
                 .summary = "The store of images, and tools for those who make them",
                 .subcommands = {}};
  const auto add = [&](std::vector<cli::Subcommand> more) {
    tool.subcommands.insert(tool.subcommands.end(), std::make_move_iterator(more.begin()),
                            std::make_move_iterator(more.end()));
  };
  add({cas::ingestSubcommand(), cas::listSubcommand(), cas::resolveSubcommand(),
       cas::remoteSubcommand(), cas::whySubcommand(), cas::logSubcommand(),
       cas::namespacesSubcommand()});
  add(cas::contentSubcommands());
  add(cas::careSubcommands());
  add(cas::leaseSubcommands());
  add(cas::aciSubcommands());
  add({cas::bundleExportSubcommand(), cas::bundleImportSubcommand(), cas::bundleWantSubcommand()});
  return cli::toolMain(argc, argv, tool);
}
