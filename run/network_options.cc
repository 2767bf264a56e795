#include "run/network_options.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/base/strings.h"
#include "core/cli/globals.h"
#include "core/cli/options.h"
#include "run/networks.h"

namespace actool::run {
namespace {

bool isAddress(const std::string& text) {
  in6_addr buffer{};
  return ::inet_pton(AF_INET, text.c_str(), &buffer) == 1 ||
         ::inet_pton(AF_INET6, text.c_str(), &buffer) == 1;
}

// A word of resolv.conf or hosts: what would end the line or the word is none.
void requireWord(std::string_view option, std::string_view word) {
  const bool good = !word.empty() && std::all_of(word.begin(), word.end(), [](char c) {
    return c > ' ' && c != '#' && c != 0x7f;
  });
  if (!good) throw UsageError(fmt::format("{}: '{}' is no name", option, printable(word)));
}

void addServers(const std::string& value, NetworkOptions& options) {
  for (const std::string_view part : split(value, ',')) {
    const std::string server(part);
    if (server == "host" || server == "none") {
      options.dnsResolv = server;
    } else if (isAddress(server)) {
      options.dnsServers.push_back(server);
    } else {
      throw UsageError(fmt::format("--dns: '{}' is no address", printable(server)),
                       "give addresses of servers, host or none");
    }
  }
}

void addHostsEntries(const std::string& value, NetworkOptions& options) {
  for (const std::string_view part : split(value, ',')) {
    if (part == "host") {
      options.dnsHosts = "host";
      continue;
    }
    const std::size_t equals = part.find('=');
    const std::string address(part.substr(0, equals));
    if (equals == std::string_view::npos || !isAddress(address)) {
      throw UsageError(fmt::format("--hosts-entry: '{}' is not ADDRESS=NAME", printable(part)),
                       "write ADDRESS=NAME, or host for the host's /etc/hosts");
    }
    const std::string name(part.substr(equals + 1));
    requireWord("--hosts-entry", name);
    options.hostsEntries.emplace_back(address, name);
  }
}

schema::ExposedPort parsePort(const std::string& value) {
  // NAME:HOSTPORT or NAME:ADDRESS:HOSTPORT
  const std::size_t first = value.find(':');
  const std::size_t last = value.rfind(':');
  const auto port = first == std::string::npos ? std::nullopt : parseUint(value.substr(last + 1));
  if (!port || *port == 0 || *port > 65535) {
    throw UsageError(fmt::format("--port: '{}' is not NAME:HOSTPORT", printable(value)));
  }
  schema::ExposedPort exposed{
      .name = withContext("--port", [&] { return schema::AcName::parse(value.substr(0, first)); }),
      .hostPort = static_cast<std::uint16_t>(*port)};
  if (first != last) {
    exposed.hostIp = value.substr(first + 1, last - first - 1);
    if (!isAddress(exposed.hostIp)) {
      throw UsageError(fmt::format("--port: '{}' is no address", printable(exposed.hostIp)));
    }
  }
  return exposed;
}

std::string resolvText(const NetworkOptions& options) {
  std::string text = "# Made by actool run\n";
  for (const std::string& server : options.dnsServers)
    text += "nameserver " + server + "\n";
  if (!options.dnsDomain.empty()) text += "domain " + options.dnsDomain + "\n";
  if (!options.dnsSearch.empty()) text += "search " + join(options.dnsSearch, " ") + "\n";
  if (!options.dnsOptions.empty()) text += "options " + join(options.dnsOptions, " ") + "\n";
  return text;
}

std::string hostsText(const NetworkOptions& options, const std::string& hostname) {
  std::string text = "127.0.0.1\tlocalhost " + hostname + "\n::1\tlocalhost " + hostname + "\n";
  std::vector<std::string> done;
  for (const auto& [address, first] : options.hostsEntries) {
    if (std::find(done.begin(), done.end(), address) != done.end()) continue;
    done.push_back(address);
    text += address + "\t";
    std::vector<std::string> names;
    for (const auto& [other, name] : options.hostsEntries)
      if (other == address) names.push_back(name);
    text += join(names, " ") + "\n";
  }
  return text;
}

}  // namespace

void addNetworkOptions(cli::Options& app, NetworkOptions& options, const std::string& group) {
  const auto words = [&](const std::string& name, std::vector<std::string>& target,
                         const std::string& help, const std::string& type) {
    app.callEach(
           name,
           [&target, name](const std::string& value) {
             for (const std::string_view part : split(value, ',')) {
               requireWord(name, part);
               target.emplace_back(part);
             }
           },
           help)
        .group(group)
        .typeName(type);
  };
  app.callEach(
         "--net",
         [&options, given = false](const std::string& value) mutable {
           options.net = given ? options.net + "," + value : value;
           given = true;
           parseNetworks(options.net);
         },
         "none (only loopback, the default), host, or networks of net.d: default, ...")
      .group(group)
      .typeName("=NET[:ARGS],...");
  app.call(
         "--net-ns", [&options](const std::string& value) { options.netNamespace = value; },
         "run in a network namespace that there is already")
      .group(group)
      .typeName("PATH");
  app.callEach(
         "--dns", [&options](const std::string& value) { addServers(value, options); },
         "name servers for /etc/resolv.conf; host: the host's file; none: the image's")
      .group(group)
      .typeName("ADDRESS,...|host|none");
  words("--dns-search", options.dnsSearch, "domains to search", "DOMAIN,...");
  words("--dns-opt", options.dnsOptions, "options of resolv.conf", "OPTION,...");
  app.call(
         "--dns-domain",
         [&options](const std::string& value) {
           requireWord("--dns-domain", value);
           options.dnsDomain = value;
         },
         "the domain of resolv.conf")
      .group(group)
      .typeName("DOMAIN");
  app.callEach(
         "--hosts-entry", [&options](const std::string& value) { addHostsEntries(value, options); },
         "names for /etc/hosts; host: the host's file")
      .group(group)
      .typeName("ADDRESS=NAME,...|host");
}

void addPortOption(cli::Options& app, NetworkOptions& options, const std::string& group,
                   const std::function<void(const std::string&)>& given) {
  app.callEach(
         "--port",
         [&options, given](const std::string& value) {
           options.ports.push_back(parsePort(value));
           given("--port");
         },
         "a port of an app, by its name in the manifest, to be reached on the host")
      .group(group)
      .typeName("NAME:[ADDRESS:]HOSTPORT");
}

void settleNetwork(NetworkOptions& options) {
  if (::geteuid() != 0 && options.net == "default") options.net = kUserNetwork;
}

void checkNetworkOptions(const NetworkOptions& options) {
  const bool generated = !options.dnsServers.empty() || !options.dnsSearch.empty() ||
                         !options.dnsOptions.empty() || !options.dnsDomain.empty();
  if (generated && options.dnsResolv != "default" && options.dnsResolv != "stage0") {
    throw UsageError(
        fmt::format("--dns={} and other settings of DNS exclude each other", options.dnsResolv));
  }
  if (!options.hostsEntries.empty() && options.dnsHosts == "host") {
    throw UsageError("--hosts-entry=host and other entries exclude each other");
  }
  if (!options.netNamespace.empty() && options.net != "none") {
    throw UsageError("--net-ns and --net exclude each other");
  }
  if (!options.ports.empty() && !hasContainedNetworks(options.net)) {
    throw UsageError(
        fmt::format("--port: with --net={} nothing leads to the pod's ports", options.net),
        "use a network: --net=default");
  }
}

void writeDnsFiles(const PodLayout& layout, const NetworkOptions& options,
                   const std::string& hostname) {
  const Path etc = layout.stage1Rootfs() / "etc";
  if (options.dnsResolv == "stage0") {
    makeDirs(etc);
    writeFilePlain(etc / "rkt-resolv.conf", resolvText(options));
  }
  if (options.dnsHosts == "stage0") {
    makeDirs(etc);
    writeFilePlain(etc / "rkt-hosts", hostsText(options, hostname));
  }
}

void enterNetNamespace(const Path& path) {
  const UniqueFd file = openFile(path.string(), O_RDONLY);
  if (::setns(file.get(), CLONE_NEWNET) != 0) {
    throwErrno("entering the network namespace " + path.string());
  }
}

void exportConfigDirs(const cli::Globals& globals) {
  std::vector<std::string> dirs;
  for (const Path& dir : globals.configDirs().dirs)
    dirs.push_back(std::filesystem::absolute(dir).string());
  if (::setenv("ACTOOL_CONFIG_DIRS", join(dirs, ":").c_str(), 1) != 0) {
    throwErrno("setting ACTOOL_CONFIG_DIRS");
  }
}

}  // namespace actool::run
