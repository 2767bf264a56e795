#include "run/native/net/join.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/base/error.h"
#include "core/base/fs.h"
#include "core/base/log.h"
#include "core/base/strings.h"
#include "run/first_error.h"
#include "run/native/net/own_network.h"
#include "run/native/net/stand_in.h"

namespace actool::run::native {
namespace {

// What a plugin of the chain gets as its input.
Json pluginInput(const Network& network, const Json& plugin, const Json& previous) {
  Json input = plugin;
  input["name"] = network.name;
  input["cniVersion"] = network.cniVersion;
  if (!previous.is_null()) input["prevResult"] = previous;
  return input;
}

OwnMember memberOf(const JoinedNetwork& joined, const Uuid& pod) {
  return {joined.network.name, pod, joined.interface};
}

void joinOne(JoinedNetwork& joined, const Uuid& pod, const Plugins& plugins,
             const std::string& netns) {
  const Network& network = joined.network;
  const PluginCall call{"ADD", pod.str(), netns, joined.interface, network.args};
  for (const Json& plugin : network.plugins) {
    const Json input = pluginInput(network, plugin, joined.result);
    if (isOwnType(plugin)) {
      joined.result = joinOwnNetwork(input, memberOf(joined, pod), netns, network.args);
      continue;
    }
    const Json result = plugins.run(call, input);
    if (!result.is_object()) {
      throw Error("network plugin " + stringMember(plugin, "type") + ": it gave no result");
    }
    joined.result = result;
  }
}

// Where plugins find what they did.
struct Place {
  std::string netns;  // the pod's network namespace, or one that looks like it
  bool isGone = false;
};

void leaveOne(const JoinedNetwork& joined, const Uuid& pod, const Plugins& plugins,
              const Place& place, FirstError& errors) {
  const Network& network = joined.network;
  const PluginCall call{"DEL", pod.str(), place.netns, joined.interface, network.args};
  for (auto plugin = network.plugins.rbegin(); plugin != network.plugins.rend(); ++plugin) {
    errors.attempt([&] {
      withContext("leaving network " + network.name, [&] {
        if (isOwnType(*plugin)) {
          leaveOwnNetwork(memberOf(joined, pod), place.isGone);
        } else {
          plugins.run(call, pluginInput(network, *plugin, joined.result));
        }
      });
    });
  }
}

bool needsPlugins(const JoinedNetwork& joined) {
  const std::vector<Json>& plugins = joined.network.plugins;
  return !std::all_of(plugins.begin(), plugins.end(), isOwnType);
}

// What tidyNetworks() is for.
bool leavesNat(const JoinedNetwork& joined) {
  const std::vector<Json>& plugins = joined.network.plugins;
  return joined.network.masquerades() && std::any_of(plugins.begin(), plugins.end(), isOwnType);
}

void removeState(const Path& file) {
  if (::unlink(file.c_str()) != 0 && errno != ENOENT) throwErrno("removing " + file.string());
}

void addWords(const Json& dns, const char* key, std::vector<std::string>& words) {
  if (!dns.contains(key) || !dns[key].is_array()) return;
  for (const Json& word : dns[key]) {
    // One line each: what has a newline or a blank in it is none of these.
    if (!word.is_string() ||
        word.get<std::string>().find_first_of(" \t\r\n") != std::string::npos) {
      continue;
    }
    words.push_back(word.get<std::string>());
  }
}

}  // namespace

std::string resolvConf(const std::vector<JoinedNetwork>& networks) {
  std::vector<std::string> servers;
  std::vector<std::string> search;
  std::vector<std::string> options;
  std::vector<std::string> domain;
  for (const JoinedNetwork& joined : networks) {
    if (!joined.result.is_object() || !joined.result.contains("dns")) continue;
    const Json& dns = joined.result["dns"];
    addWords(dns, "nameservers", servers);
    addWords(dns, "search", search);
    addWords(dns, "options", options);
    if (dns.contains("domain"))
      addWords({{"domain", Json::array({dns["domain"]})}}, "domain", domain);
  }
  if (servers.empty()) return {};
  std::string text;
  for (const std::string& server : servers)
    text += "nameserver " + server + "\n";
  if (!domain.empty() && !domain[0].empty()) text += "domain " + domain[0] + "\n";
  if (!search.empty()) text += "search " + join(search, " ") + "\n";
  if (!options.empty()) text += "options " + join(options, " ") + "\n";
  return text;
}

void joinNetworks(const PodLayout& layout, const Uuid& pod, const std::vector<Network>& networks,
                  const Plugins& plugins, const std::string& netns) {
  std::vector<JoinedNetwork> joined;
  for (std::size_t i = 0; i < networks.size(); ++i)
    joined.push_back({networks[i], "eth" + std::to_string(i), Json()});
  // Before anything is done that they would be needed to undo.
  for (const Network& network : networks) {
    withContext("joining network " + network.name, [&] {
      for (const Json& plugin : network.plugins)
        isOwnType(plugin) ? checkOwnConfig(plugin) : plugins.require(plugin);
    });
  }
  writeNetState(layout, joined);
  try {
    for (JoinedNetwork& one : joined)
      withContext("joining network " + one.network.name,
                  [&] { joinOne(one, pod, plugins, netns); });
  } catch (const Error&) {
    writeNetState(layout, joined);
    try {
      leaveNetworks(layout, pod, plugins, netns);
    } catch (const Error& error) {
      log::debug("{}", error.what());  // the first failure is what counts; gc tries again
    }
    throw;
  }
  writeNetState(layout, joined);
  const std::string resolv = resolvConf(joined);
  if (resolv.empty()) return;
  makeDirs(layout.stage1Rootfs() / "etc");
  writeFilePlain(layout.stage1Rootfs() / "etc/rkt-resolv.conf", resolv);
}

void leaveNetworks(const PodLayout& layout, const Uuid& pod, const Plugins& plugins,
                   const std::string& netns) {
  const std::vector<JoinedNetwork> networks = readNetState(layout.netInfo());
  if (networks.empty()) return;
  UniqueFd standIn;
  Place place{netns, netns.empty()};
  if (place.isGone && std::any_of(networks.begin(), networks.end(), needsPlugins)) {
    standIn = makeStandIn(networks);
    place.netns = "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(standIn.get());
  }
  FirstError errors;
  for (auto joined = networks.rbegin(); joined != networks.rend(); ++joined)
    leaveOne(*joined, pod, plugins, place, errors);
  errors.rethrow();
  if (std::any_of(networks.begin(), networks.end(), leavesNat)) {
    if (::rename(layout.netInfo().c_str(), layout.netLeft().c_str()) != 0) {
      throwErrno("renaming " + layout.netInfo().string());
    }
  } else {
    removeState(layout.netInfo());
  }
}

void tidyNetworks(const PodLayout& layout) {
  for (const JoinedNetwork& joined : readNetState(layout.netLeft())) {
    const Network& network = joined.network;
    for (const Json& plugin : network.plugins) {
      if (!isOwnType(plugin)) continue;
      withContext("tidying network " + network.name, [&] { tidyOwnNetwork(plugin, network.name); });
    }
  }
  removeState(layout.netLeft());
}

}  // namespace actool::run::native
