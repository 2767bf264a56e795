#include "run/native/net/network_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "core/base/error.h"
#include "core/base/strings.h"

namespace actool::run::native {
namespace {

// A configuration is written by hand.
constexpr std::size_t kMaxConfig = 1 << 20;
constexpr std::array kVersions = {"0.3.0", "0.3.1", "0.4.0", "1.0.0"};
// For configurations that name none, as rkt's: the last that has all of these members.
constexpr const char* kDefaultVersion = "0.4.0";
constexpr std::size_t kMaxPlugins = 16;

// The pod's own end of a pair, the host as its gateway, and its address behind the host's.
constexpr const char* kDefault = R"({
  "name": "default", "type": "actool-ptp", "subnet": "172.16.28.0/24",
  "isDefaultGateway": true, "ipMasq": true})";
// The host, and nothing behind it.
constexpr const char* kRestricted = R"({
  "name": "default-restricted", "type": "actool-ptp", "subnet": "172.16.29.0/24"})";

Network parseNetwork(const std::string& text, const std::string& what) {
  Json config = parseJson(text, what);
  if (!config.is_object()) throw UsageError("it is not a JSON object");
  Network network;
  network.name = stringMember(config, "name");
  network.cniVersion = stringMemberOr(config, "cniVersion", kDefaultVersion);
  if (std::find(kVersions.begin(), kVersions.end(), network.cniVersion) == kVersions.end()) {
    throw UsageError(fmt::format("cniVersion \"{}\" is not one of {}",
                                 printable(network.cniVersion),
                                 join({kVersions.begin(), kVersions.end()}, ", ")));
  }
  if (config.contains("plugins")) {
    for (Json& plugin : config["plugins"])
      network.plugins.push_back(std::move(plugin));
  } else {
    network.plugins.push_back(std::move(config));
  }
  if (network.plugins.empty() || network.plugins.size() > kMaxPlugins) {
    throw UsageError(fmt::format("it has {} plugins", network.plugins.size()));
  }
  for (const Json& plugin : network.plugins) {
    // It becomes the name of a program.
    const std::string type = stringMember(plugin, "type");
    if (type.empty() || type.find('/') != std::string::npos || type[0] == '.') {
      throw UsageError(fmt::format("\"{}\" is no type of a network", printable(type)));
    }
  }
  // The same rules as for --net, so that it can be named there.
  if (parseNetworks(network.name).at(0).name != network.name) {
    throw UsageError(fmt::format("\"{}\" is no name of a network", printable(network.name)));
  }
  return network;
}

bool isConfigFile(const std::string& name) {
  return !name.starts_with('.') && (name.ends_with(".conf") || name.ends_with(".conflist"));
}

}  // namespace

bool Network::masquerades() const {
  return std::any_of(plugins.begin(), plugins.end(),
                     [](const Json& plugin) { return boolMemberOr(plugin, "ipMasq", false); });
}

std::vector<Network> loadNetworks(const std::vector<Path>& directories) {
  std::map<std::string, std::pair<std::string, Network>> byName;  // with the file's name
  byName.emplace("default", std::pair("99-default.conf", parseNetwork(kDefault, "default")));
  byName.emplace("default-restricted", std::pair("99-default-restricted.conf",
                                                 parseNetwork(kRestricted, "default-restricted")));
  for (const Path& directory : directories) {
    std::map<std::string, std::string> seen;  // the file by the name of its network
    for (const std::string& file : listDir(directory / "net.d")) {
      if (!isConfigFile(file)) continue;
      const Path path = directory / "net.d" / file;
      withContext(path.string(), [&] {
        Network network = parseNetwork(readFile(path, kMaxConfig), path.string());
        const auto [other, isNew] = seen.emplace(network.name, file);
        if (!isNew) {
          throw UsageError(fmt::format("network {} is in {} too", network.name, other->second));
        }
        const std::string name = network.name;
        byName.insert_or_assign(name, std::pair(file, std::move(network)));
      });
    }
  }
  std::vector<std::pair<std::string, Network>> sorted;
  sorted.reserve(byName.size());
  for (auto& [name, entry] : byName)
    sorted.push_back(std::move(entry));
  std::sort(sorted.begin(), sorted.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Network> networks;
  networks.reserve(sorted.size());
  for (auto& [file, network] : sorted)
    networks.push_back(std::move(network));
  return networks;
}

std::vector<Network> chooseNetworks(const std::vector<Network>& known,
                                    const std::vector<NetworkRequest>& requests) {
  const bool all = std::any_of(requests.begin(), requests.end(),
                               [](const NetworkRequest& one) { return one.name == "all"; });
  for (const NetworkRequest& request : requests) {
    const bool isKnown = std::any_of(known.begin(), known.end(), [&](const Network& network) {
      return network.name == request.name;
    });
    if (isKnown || request.name == "all") continue;
    throw NotFoundError(fmt::format("there is no network {}", request.name),
                        "configure it in net.d/*.conf of a configuration directory");
  }
  std::vector<Network> chosen;
  for (const Network& network : known) {
    const auto request =
        std::find_if(requests.begin(), requests.end(),
                     [&](const NetworkRequest& one) { return one.name == network.name; });
    if (request == requests.end() && (!all || network.name == "default-restricted")) continue;
    chosen.push_back(network);
    if (request != requests.end()) chosen.back().args = request->args;
  }
  return chosen;
}

void addPorts(std::vector<Network>& networks, const Json& mappings) {
  if (mappings.empty()) return;
  if (networks.empty()) throw Error("ports are exposed, and the pod is in no network");
  auto network = std::find_if(networks.begin(), networks.end(),
                              [](const Network& one) { return one.masquerades(); });
  if (network == networks.end()) network = networks.end() - 1;
  auto plugin = std::find_if(network->plugins.begin(), network->plugins.end(), [](const Json& one) {
    return stringMember(one, "type") == "portmap";
  });
  if (plugin == network->plugins.end()) {
    network->plugins.push_back(
        {{"type", "portmap"}, {"snat", true}, {"capabilities", {{"portMappings", true}}}});
    plugin = network->plugins.end() - 1;
  }
  (*plugin)["runtimeConfig"]["portMappings"] = mappings;
}

std::optional<std::int64_t> bandwidthLimit(const schema::PodManifest& pod) {
  constexpr std::string_view kIsolator = "resource/network-bandwidth";
  if (const auto own = pod.isolators.resource(kIsolator)) return own->limit.value().value();
  std::optional<std::int64_t> least;
  for (const schema::RuntimeApp& app : pod.apps) {
    if (!app.app) continue;
    const auto resource = app.app->isolators.resource(kIsolator);
    if (!resource) continue;
    const std::int64_t limit = resource->limit.value().value();
    least = least ? std::min(*least, limit) : limit;
  }
  return least;
}

void addBandwidth(std::vector<Network>& networks, std::int64_t bytesPerSecond) {
  constexpr std::int64_t kBits = 8;
  // What may pass at once: a tenth of a second's, and at least what a network card sends in one
  // piece. The plugin counts it in 32 bits.
  constexpr std::int64_t kLeastBurst = 65536 * kBits;
  constexpr std::int64_t kMostBurst = std::int64_t{1} << 31;
  const std::int64_t rate = std::max<std::int64_t>(bytesPerSecond, 1) * kBits;
  const std::int64_t burst = std::clamp(rate / 10, kLeastBurst, kMostBurst);
  for (Network& network : networks) {
    network.plugins.push_back({{"type", "bandwidth"},
                               {"ingressRate", rate},
                               {"ingressBurst", burst},
                               {"egressRate", rate},
                               {"egressBurst", burst}});
  }
}

}  // namespace actool::run::native
