#include "core/schema/app.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "core/schema/manifest_common.h"
#include "core/schema/members.h"
#include "core/schema/timestamp.h"

namespace actool::schema {
namespace {

// chown(2) and setgroups(2) take the largest number for "leave it as it is".

void checkHttpUrl(std::string_view url) {
  std::string_view rest;
  if (url.starts_with("https://")) rest = url.substr(8);
  if (url.starts_with("http://")) rest = url.substr(7);
  const bool clean = std::all_of(url.begin(), url.end(),
                                 [](unsigned char c) { return c > 0x20 && c != 0x7f && c != '"'; });
  if (rest.empty() || rest[0] == '/' || rest[0] == '?' || rest[0] == '#' || !clean) {
    throw Error(fmt::format("\"{}\" is no http or https URL", printable(url)));
  }
}

void checkAnnotation(const Annotation& annotation) {
  const std::string& name = annotation.name.str();
  withContext(name, [&] {
    if (name == "created") Timestamp::parse(annotation.value);
    if (name == "homepage" || name == "documentation") checkHttpUrl(annotation.value);
  });
}

EventHandler eventHandlerFromJson(const Json& value) {
  Members members(value);
  EventHandler handler;
  handler.name = members.string("name");
  if (handler.name != "pre-start" && handler.name != "post-stop") {
    throw Error(fmt::format("\"{}\" is no event; it must be pre-start or post-stop",
                            printable(handler.name)));
  }
  handler.exec = members.list<std::string>("exec", stringValue);
  handler.extra = members.rest();
  return handler;
}

EnvVar envVarFromJson(const Json& value) {
  auto [name, text] = nameAndValue(value);
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-';
  };
  const bool validStart =
      !name.empty() && name[0] != '.' && name[0] != '-' && !(name[0] >= '0' && name[0] <= '9');
  if (!validStart || !std::all_of(name.begin(), name.end(), allowed)) {
    throw Error(fmt::format("\"{}\" is no name of an environment variable", printable(name)),
                "it is made of letters, digits, '_', '.' and '-' and begins with a letter or '_'");
  }
  return {std::move(name), std::move(text)};
}

MountPoint mountPointFromJson(const Json& value) {
  Members members(value);
  MountPoint point{AcName::parse(members.string("name")), {}};
  const std::string path = members.string("path");
  point.path = withContext("path", [&] { return absolutePath(path); });
  point.readOnly = members.boolean("readOnly").value_or(false);
  point.extra = members.rest();
  return point;
}

std::vector<std::uint32_t> gidsFromJson(Members& members) {
  const auto gid = [](const Json& value) {
    return static_cast<std::uint32_t>(uintValue(value, kMaxId));
  };
  // aci.md's text says supplementaryGIDs, its example supplementaryGids.
  const bool asInExample = members.find("supplementaryGids") != nullptr;
  if (asInExample && members.find("supplementaryGIDs") != nullptr) {
    throw Error("supplementaryGIDs is there in two spellings");
  }
  return members.list<std::uint32_t>(asInExample ? "supplementaryGids" : "supplementaryGIDs", gid);
}

std::string requiredOwner(Members& members, std::string_view key) {
  std::string owner = members.string(key);
  if (owner.empty()) throw Error(fmt::format("the member \"{}\" is empty", key));
  return owner;
}

template <typename T, typename Name>
void checkUniqueNames(const std::vector<T>& items, std::string_view what, Name&& name) {
  std::vector<std::string_view> names;
  names.reserve(items.size());
  for (const T& item : items) {
    names.push_back(name(item));
  }
  checkUnique(names, what);
}

template <typename T, typename Fn>
void putList(Json& object, const char* key, const std::vector<T>& items, Fn&& toJson) {
  if (items.empty()) return;
  Json list = Json::array();
  for (const T& item : items) {
    list.push_back(toJson(item));
  }
  object[key] = std::move(list);
}

Json eventHandlerToJson(const EventHandler& handler) {
  Json object = handler.extra;
  object["name"] = handler.name;
  object["exec"] = handler.exec;
  return object;
}

Json mountPointToJson(const MountPoint& point) {
  Json object = point.extra;
  object["name"] = point.name.str();
  object["path"] = point.path;
  if (point.readOnly) object["readOnly"] = true;
  return object;
}

}  // namespace

Annotations Annotations::fromJson(const Json& list) {
  Annotations result;
  forEachElement(list, [&](const Json& element) {
    auto [name, value] = nameAndValue(element);
    result.list_.push_back({AcIdentifier::parse(name), std::move(value)});
    checkAnnotation(result.list_.back());
  });
  checkUniqueNames(result.list_, "annotation",
                   [](const Annotation& a) -> std::string_view { return a.name.str(); });
  return result;
}

Json Annotations::toJson() const {
  Json list = Json::array();
  for (const Annotation& annotation : list_) {
    list.push_back({{"name", annotation.name.str()}, {"value", annotation.value}});
  }
  return list;
}

std::optional<std::string_view> Annotations::get(std::string_view name) const {
  for (const Annotation& annotation : list_) {
    if (annotation.name.str() == name) return annotation.value;
  }
  return std::nullopt;
}

void Annotations::set(const AcIdentifier& name, std::string value) {
  Annotation annotation{name, std::move(value)};
  checkAnnotation(annotation);
  const auto found = std::find_if(list_.begin(), list_.end(),
                                  [&](const Annotation& other) { return other.name == name; });
  if (found == list_.end()) {
    list_.push_back(std::move(annotation));
  } else {
    *found = std::move(annotation);
  }
}

Port Port::fromJson(const Json& value) {
  Members members(value);
  Port port{AcName::parse(members.string("name")), members.string("protocol")};
  members.require("port");
  port.port = static_cast<std::uint16_t>(members.uint("port", kMaxPort).value_or(0));
  if (port.port == 0) throw Error("port: is 0, it should be 1 to 65535");
  // appc's own actool writes "count": 0 for a port that was given without one.
  const std::uint64_t count = members.uint("count", kMaxPort).value_or(1);
  port.count = static_cast<std::uint32_t>(count == 0 ? 1 : count);
  if (port.port + port.count - 1 > kMaxPort) {
    throw Error(
        fmt::format("the range of {} ports from {} goes beyond 65535", port.count, port.port));
  }
  port.socketActivated = members.boolean("socketActivated").value_or(false);
  port.extra = members.rest();
  return port;
}

Json Port::toJson() const {
  Json object = extra;
  object["name"] = name.str();
  object["protocol"] = protocol;
  object["port"] = port;
  if (count != 1) object["count"] = count;
  if (socketActivated) object["socketActivated"] = true;
  return object;
}

App App::fromJson(const Json& object) {
  Members members(object);
  App app;
  app.exec = members.list<std::string>("exec", stringValue);
  app.user = requiredOwner(members, "user");
  app.group = requiredOwner(members, "group");
  app.supplementaryGids = gidsFromJson(members);
  app.eventHandlers = members.list<EventHandler>("eventHandlers", eventHandlerFromJson);
  app.workingDirectory = members.stringOr("workingDirectory", {});
  if (!app.workingDirectory.empty() && app.workingDirectory[0] != '/') {
    throw Error(fmt::format("workingDirectory: \"{}\" is not an absolute path",
                            printable(app.workingDirectory)));
  }
  app.environment = members.list<EnvVar>("environment", envVarFromJson);
  app.mountPoints = members.list<MountPoint>("mountPoints", mountPointFromJson);
  app.ports = members.list<Port>("ports", Port::fromJson);
  members.with("isolators", [&](const Json& list) { app.isolators = Isolators::fromJson(list); });
  app.extra = members.rest();
  checkUserMaps(app.extra);

  checkUniqueNames(app.eventHandlers, "event handler",
                   [](const EventHandler& h) -> std::string_view { return h.name; });
  checkUniqueNames(app.environment, "environment variable",
                   [](const EnvVar& v) -> std::string_view { return v.name; });
  checkUniqueNames(app.mountPoints, "mount point",
                   [](const MountPoint& p) -> std::string_view { return p.name.str(); });
  checkUniqueNames(app.ports, "port",
                   [](const Port& p) -> std::string_view { return p.name.str(); });
  return app;
}

Json App::toJson() const {
  Json object = extra;
  object["exec"] = exec;
  object["user"] = user;
  object["group"] = group;
  if (!supplementaryGids.empty()) object["supplementaryGIDs"] = supplementaryGids;
  putList(object, "eventHandlers", eventHandlers, eventHandlerToJson);
  if (!workingDirectory.empty()) object["workingDirectory"] = workingDirectory;
  putList(object, "environment", environment, [](const EnvVar& variable) {
    return Json{{"name", variable.name}, {"value", variable.value}};
  });
  putList(object, "mountPoints", mountPoints, mountPointToJson);
  putList(object, "ports", ports, [](const Port& port) { return port.toJson(); });
  if (!isolators.list().empty()) object["isolators"] = isolators.toJson();
  return object;
}

}  // namespace actool::schema
