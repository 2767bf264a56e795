// The native stage1's helper for networks: what it takes to make them, and to talk to CNI plugins,
// stays out of the program that most pods start with.
//
//   net join  --uuid=UUID --networks=LIST --netns=PATH [--config=DIR]...
//   net leave --uuid=UUID [--netns=PATH] [--config=DIR]...
//
// Without a namespace, "leave" is for a pod that is being removed.
//
// Runs in the pod's directory and in the host's network. The message of a failure goes to
// standard output, for the program that started this one to report.
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <new>

#include "core/base/error.h"
#include "core/base/fs.h"
#include "core/base/log.h"
#include "core/base/strings.h"
#include "core/schema/pod_manifest.h"
#include "run/native/net/join.h"
#include "run/port_mappings.h"

namespace actool::run::native {
namespace {

struct NetOptions {
  std::string uuid;
  std::string networks;
  std::string netns;
  std::vector<Path> configs;
};

NetOptions parseOptions(const std::vector<std::string>& arguments) {
  NetOptions options;
  for (const std::string& argument : arguments) {
    const std::size_t equals = argument.find('=');
    const std::string name = argument.substr(0, equals);
    const std::string value = equals == std::string::npos ? "" : argument.substr(equals + 1);
    if (name == "--uuid") {
      options.uuid = value;
    } else if (name == "--networks") {
      options.networks = value;
    } else if (name == "--netns") {
      options.netns = value;
    } else if (name == "--config") {
      options.configs.emplace_back(value);
    } else if (name == "--debug") {
      log::setDebug(true);
    } else {
      throw UsageError("unknown argument \"" + printable(argument) + "\"");
    }
  }
  return options;
}

void runCommand(const std::string& command, const NetOptions& options) {
  const auto uuid = Uuid::parse(options.uuid);
  if (!uuid) throw UsageError("the pod's UUID is missing");
  const PodLayout layout(".");
  const Plugins plugins(pluginPath(options.configs));
  if (command == "leave") {
    leaveNetworks(layout, *uuid, plugins, options.netns);
    if (options.netns.empty()) tidyNetworks(layout);
    return;
  }
  if (command != "join") throw UsageError("\"" + printable(command) + "\" is no command");
  const auto pod = schema::PodManifest::parse(
      readFile(layout.manifest(), schema::kMaxPodManifestBytes), "the pod's manifest");
  std::vector<Network> networks =
      chooseNetworks(loadNetworks(options.configs), parseNetworks(options.networks));
  addPorts(networks, portMappings(pod));
  if (const auto limit = bandwidthLimit(pod)) addBandwidth(networks, *limit);
  joinNetworks(layout, *uuid, networks, plugins, options.netns);
}

}  // namespace
}  // namespace actool::run::native

int main(int argc, char** argv) {
  using namespace actool;
  log::setProgram("stage1 native");
  try {
    if (argc < 2) throw UsageError("a command is missing");
    run::native::runCommand(argv[1], run::native::parseOptions({argv + 2, argv + argc}));
    return 0;
  } catch (const Error& error) {
    std::fputs(error.what(), stdout);
    return static_cast<int>(error.code());
  } catch (const std::bad_alloc&) {
    std::fputs("out of memory", stdout);
    return static_cast<int>(ExitCode::failure);
  }
}
