#include "run/vm/guest_config.h"

#include "core/base/error.h"

namespace actool::run::vm {
namespace {

std::vector<std::string> strings(const Json& list) {
  std::vector<std::string> found;
  for (const Json& one : list) {
    if (!one.is_string()) throw Error("a string is missing in a list");
    found.push_back(one.get<std::string>());
  }
  return found;
}

}  // namespace

std::string formatGuestConfig(const GuestConfig& config) {
  Json roots = Json::array();
  for (const AppRoot& root : config.roots)
    roots.push_back({{"index", root.index}, {"devices", root.devices}});
  return dumpLine({{"arguments", config.arguments},
                   {"roots", roots},
                   {"modules", config.modules},
                   {"shared", config.shared},
                   {"terminal", config.terminal},
                   {"network", config.network},
                   {"term", config.term}});
}

GuestConfig parseGuestConfig(std::string_view text) {
  const Json json = parseJson(text, "the guest's configuration");
  GuestConfig config;
  config.arguments = strings(listMember(json, "arguments"));
  config.modules = strings(listMember(json, "modules"));
  for (const Json& root : listMember(json, "roots")) {
    config.roots.push_back({stringMember(root, "index"), strings(listMember(root, "devices"))});
  }
  config.shared = boolMemberOr(json, "shared", false);
  config.terminal = boolMemberOr(json, "terminal", false);
  config.network = boolMemberOr(json, "network", false);
  config.term = stringMemberOr(json, "term", "");
  return config;
}

std::string formatEnterRequest(const EnterRequest& request) {
  return dumpLine({{"app", request.app},
                   {"command", request.command},
                   {"terminal", request.terminal},
                   {"term", request.term}});
}

EnterRequest parseEnterRequest(std::string_view text) {
  const Json json = parseJson(text, "a command to enter with");
  EnterRequest request;
  request.app = stringMember(json, "app");
  request.command = strings(listMember(json, "command"));
  if (request.command.empty()) throw Error("a command to enter with is empty");
  request.terminal = boolMemberOr(json, "terminal", false);
  request.term = stringMemberOr(json, "term", "");
  return request;
}

}  // namespace actool::run::vm
