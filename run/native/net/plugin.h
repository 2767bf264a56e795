// One run of one CNI plugin (containernetworking/cni, SPEC.md).
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "core/base/fs.h"
#include "core/base/json.h"

namespace actool::run::native {

struct PluginCall {
  std::string command;      // "ADD" or "DEL"
  std::string containerId;  // the pod's UUID
  std::string netns;        // a path
  std::string interface;    // "eth0"
  std::string args;         // CNI_ARGS
};

// What a plugin may take and say: a result has some kB, and DHCP waits for some seconds.
struct PluginLimits {
  std::chrono::milliseconds time = std::chrono::seconds(60);
  std::size_t output = 1 << 20;
};

class Plugins {
 public:
  // `path` is searched in order.
  explicit Plugins(std::vector<Path> path, PluginLimits limits = {})
      : path_(std::move(path)), limits_(limits) {}

  // Runs the plugin that `config` is for ("type") with `config` as input, and gives its result:
  // null when it said nothing, as after DEL. Throws NotFoundError when there is no such plugin,
  // Error with the plugin's own message when it failed, and when it was over the limits; it is
  // killed then.
  Json run(const PluginCall& call, const Json& config) const;
  // Throws as run() when there is no such plugin.
  void require(const Json& config) const;

 private:
  Path find(const std::string& type) const;

  std::vector<Path> path_;
  PluginLimits limits_;
};

// $CNI_PATH when it is set; else net.d of the configuration directories (rkt's place for them), and
// where distributions and rkt put plugins.
std::vector<Path> pluginPath(const std::vector<Path>& configDirs);

}  // namespace actool::run::native
