#include "run/port_mappings.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "core/base/error.h"

namespace actool::run {

Json portMappings(const schema::PodManifest& pod) {
  Json mappings = Json::array();
  for (const schema::ExposedPort& exposed : pod.ports) {
    std::optional<schema::Port> inside = exposed.podPort;
    for (const schema::RuntimeApp& app : pod.apps) {
      if (inside || !app.app) continue;
      for (const schema::Port& port : app.app->ports)
        if (port.name == exposed.name) inside = port;
    }
    if (!inside) throw Error(fmt::format("no app has a port {}", exposed.name.str()));
    for (std::uint32_t i = 0; i < inside->count; ++i) {
      Json mapping = {{"hostPort", exposed.hostPort + i},
                      {"containerPort", inside->port + i},
                      {"protocol", inside->protocol}};
      if (!exposed.hostIp.empty()) mapping["hostIP"] = exposed.hostIp;
      mappings.push_back(std::move(mapping));
    }
  }
  return mappings;
}

}  // namespace actool::run
