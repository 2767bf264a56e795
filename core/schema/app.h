// The "app" object of image and pod manifests, annotations and the like (spec/aci.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/json.h"
#include "core/schema/identifier.h"
#include "core/schema/isolator.h"

namespace actool::schema {

// Members we do not know are kept in `extra` objects and written back by toJson().

struct Annotation {
  AcIdentifier name;
  std::string value;
  bool operator==(const Annotation&) const = default;
};

// Unique names; "created" is a timestamp, "homepage" and "documentation" are http(s) URLs.
class Annotations {
 public:
  static Annotations fromJson(const Json& list);
  Json toJson() const;
  std::optional<std::string_view> get(std::string_view name) const;
  void set(const AcIdentifier& name, std::string value);
  const std::vector<Annotation>& list() const { return list_; }
  bool empty() const { return list_.empty(); }

 private:
  std::vector<Annotation> list_;
};

struct EventHandler {
  std::string name;  // "pre-start" or "post-stop"
  std::vector<std::string> exec = {};
  Json extra = Json::object();
};

struct EnvVar {
  std::string name;  // letters, digits, '_', '.', '-'; does not begin with a digit
  std::string value;
};

struct MountPoint {
  AcName name;
  std::string path;  // absolute, no ".." component
  bool readOnly = false;
  Json extra = Json::object();
};

struct Port {
  AcName name;
  std::string protocol;
  std::uint16_t port = 0;   // 1 to 65535
  std::uint32_t count = 1;  // port + count - 1 is at most 65535
  bool socketActivated = false;
  Json extra = Json::object();

  static Port fromJson(const Json& object);
  Json toJson() const;
};

struct App {
  std::vector<std::string> exec;  // may be empty when the executor gives it
  std::string user;               // name, number, or absolute path whose owner is meant
  std::string group;
  std::vector<std::uint32_t> supplementaryGids;
  std::vector<EventHandler> eventHandlers;  // at most one of each name
  std::string workingDirectory;             // absolute or empty ("/")
  std::vector<EnvVar> environment;          // unique names
  std::vector<MountPoint> mountPoints;      // unique names
  std::vector<Port> ports;                  // unique names
  Isolators isolators;
  Json extra = Json::object();  // userAnnotations, userLabels and what we do not know

  static App fromJson(const Json& object);  // throws Error naming the member
  Json toJson() const;
};

}  // namespace actool::schema
