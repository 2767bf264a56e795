// The options of `run` and `run-prepared` about networks and names, in rkt's spelling.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/base/fs.h"
#include "core/schema/pod_manifest.h"
#include "run/pod_layout.h"

namespace actool::cli {
class Options;
class Globals;
}  // namespace actool::cli

namespace actool::run {

struct NetworkOptions {
  std::string net = "none";  // "none", "host", or a list of networks (networks.h)
  Path netNamespace;         // --net-ns
  std::vector<schema::ExposedPort> ports;

  // The stage1's words: "default", "host", "none", or "stage0" when writeDnsFiles() has something.
  std::string dnsResolv = "default";
  std::string dnsHosts = "default";
  std::vector<std::string> dnsServers;
  std::vector<std::string> dnsSearch;
  std::vector<std::string> dnsOptions;
  std::string dnsDomain;
  std::vector<std::pair<std::string, std::string>> hostsEntries;  // address, name
};

// --net, --net-ns, --dns, --dns-search, --dns-opt, --dns-domain, --hosts-entry.
void addNetworkOptions(cli::Options& app, NetworkOptions& options, const std::string& group);
// --port, which is the pod manifest's; `given` is called for each.
void addPortOption(cli::Options& app, NetworkOptions& options, const std::string& group,
                   const std::function<void(const std::string&)>& given);

// Makes `default` what it is to a pod of this user (kUserNetwork).
void settleNetwork(NetworkOptions& options);

// The checks that need all of them. Throws UsageError.
void checkNetworkOptions(const NetworkOptions& options);

// Writes etc/rkt-resolv.conf and etc/rkt-hosts of the stage1 where the modes are "stage0".
void writeDnsFiles(const PodLayout& layout, const NetworkOptions& options,
                   const std::string& hostname);

// Puts this process into the network namespace of --net-ns, which a pod with --net=host has then.
void enterNetNamespace(const Path& path);

// Tells stage1s the configuration directories, by $ACTOOL_CONFIG_DIRS.
void exportConfigDirs(const cli::Globals& globals);

}  // namespace actool::run
