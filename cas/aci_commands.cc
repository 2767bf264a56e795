#include "cas/aci_commands.h"

namespace actool::cas {

std::vector<cli::Subcommand> aciSubcommands() {
  return {buildCommand(), validateCommand(), patchManifestCommand(), catManifestCommand()};
}

}  // namespace actool::cas
