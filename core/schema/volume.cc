#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "core/schema/members.h"
#include "core/schema/pod_manifest.h"

namespace actool::schema {
namespace {

void checkMode(std::string_view mode) {
  const bool octal =
      std::all_of(mode.begin(), mode.end(), [](char c) { return c >= '0' && c <= '7'; });
  if (mode.size() < 3 || mode.size() > 5 || !octal || (mode.size() == 5 && mode[0] != '0')) {
    throw Error(fmt::format("mode: \"{}\" is no octal file mode", printable(mode)),
                "it is written like 0755");
  }
}

bool parseBool(std::string_view text) {
  if (text == "true" || text == "1") return true;
  if (text == "false" || text == "0") return false;
  throw UsageError(fmt::format("\"{}\" should be true or false", printable(text)));
}

}  // namespace

Volume Volume::fromJson(const Json& object) {
  Members members(object);
  Volume volume{AcName::parse(members.string("name"))};
  const std::string kind = members.string("kind");
  volume.readOnly = members.boolean("readOnly");
  volume.recursive = members.boolean("recursive");
  if (kind == "host") {
    volume.kind = Kind::host;
    const std::string source = members.string("source");
    volume.source = withContext("source", [&] { return absolutePath(source); });
    for (const char* key : {"mode", "uid", "gid"}) {
      if (members.find(key) != nullptr) {
        throw Error(fmt::format("a volume of kind host has no \"{}\"", key));
      }
    }
  } else if (kind == "empty") {
    if (!members.stringOr("source", {}).empty()) {
      throw Error("a volume of kind empty has no \"source\"");
    }
    volume.mode = members.stringOr("mode", volume.mode);
    checkMode(volume.mode);
    volume.uid = static_cast<std::uint32_t>(members.uint("uid", kMaxId).value_or(0));
    volume.gid = static_cast<std::uint32_t>(members.uint("gid", kMaxId).value_or(0));
  } else {
    throw Error(fmt::format("kind: \"{}\" is unknown; it must be host or empty", printable(kind)));
  }
  volume.extra = members.rest();
  return volume;
}

Volume Volume::parseOption(std::string_view text) {
  return withContext(fmt::format("volume \"{}\"", printable(text)), [&] {
    const auto parts = split(text, ',');
    Json object = {{"name", std::string(parts[0])}};
    for (std::size_t i = 1; i < parts.size(); ++i) {
      const auto equals = parts[i].find('=');
      const std::string key(parts[i].substr(0, equals));
      if (equals == std::string_view::npos) {
        throw UsageError(fmt::format("\"{}\" has no value", printable(key)),
                         "write NAME,kind=host,source=/DIRECTORY or NAME,kind=empty");
      }
      const std::string_view value = parts[i].substr(equals + 1);
      if (object.contains(key)) {
        throw UsageError(fmt::format("\"{}\" is given twice", printable(key)));
      }
      if (key == "kind" || key == "source" || key == "mode") {
        object[key] = std::string(value);
      } else if (key == "readOnly" || key == "recursive") {
        object[key] = withContext(key, [&] { return parseBool(value); });
      } else if (key == "uid" || key == "gid") {
        const auto number = parseUint(value);
        if (!number)
          throw UsageError(fmt::format("{}: \"{}\" is no number", key, printable(value)));
        object[key] = *number;
      } else {
        throw UsageError(fmt::format("the parameter \"{}\" is unknown", printable(key)),
                         "known are kind, source, readOnly, recursive, mode, uid and gid");
      }
    }
    return fromJson(object);
  });
}

Json Volume::toJson() const {
  Json object = extra;
  object["name"] = name.str();
  object["kind"] = kind == Kind::host ? "host" : "empty";
  if (readOnly) object["readOnly"] = *readOnly;
  if (recursive) object["recursive"] = *recursive;
  if (kind == Kind::host) {
    object["source"] = source;
  } else {
    object["mode"] = mode;
    object["uid"] = uid;
    object["gid"] = gid;
  }
  return object;
}

}  // namespace actool::schema
