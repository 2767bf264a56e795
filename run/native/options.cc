#include "run/native/options.h"

#include <limits>
#include <optional>
#include <string_view>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "run/networks.h"

namespace actool::run::native {
namespace {

// One argument: "--name", "--name=value" or a word.
struct Argument {
  explicit Argument(std::string_view text) : word(text) {
    if (!text.starts_with("--")) return;
    const std::size_t equals = text.find('=');
    name = text.substr(0, equals);
    if (equals != std::string_view::npos) value = text.substr(equals + 1);
  }

  std::string_view word;
  std::string_view name;  // empty for a word
  std::optional<std::string_view> value;

  // A switch: Go's flag package, which wrote this interface, takes --x, --x=true, --x=false.
  bool flag() const {
    if (!value || *value == "true" || *value == "1") return true;
    if (*value == "false" || *value == "0") return false;
    throw UsageError(shown() + " takes true or false");
  }
  std::string_view required() const {
    if (!value || value->empty()) throw UsageError(shown() + " needs a value");
    return *value;
  }
  std::string shown() const { return "\"" + printable(word) + "\""; }
  [[noreturn]] void unknown() const { throw UsageError("unknown argument " + shown()); }
};

Uuid parseUuid(const std::optional<std::string>& word) {
  if (!word) throw UsageError("the pod's UUID is missing");
  const std::optional<Uuid> uuid = Uuid::parse(*word);
  if (!uuid) throw UsageError("\"" + printable(*word) + "\" is not a UUID");
  return *uuid;
}

void setUuid(std::optional<std::string>& uuid, const Argument& argument) {
  if (!argument.name.empty()) argument.unknown();
  if (uuid) throw UsageError("unexpected argument " + argument.shown());
  uuid = argument.word;
}

void setNetworks(const Argument& argument, RunOptions& options) {
  // Without a value it is the default network, as in rkt.
  const std::string_view list = argument.value.value_or("default");
  parseNetworks(list);
  options.hostNetwork = list == "host";
  options.networks = hasContainedNetworks(list) ? std::string(list) : std::string();
}

DnsMode parseDnsMode(std::string_view text, bool mayBeNone) {
  if (text == "default") return DnsMode::standard;
  if (text == "host") return DnsMode::host;
  if (text == "stage0") return DnsMode::stage0;
  if (text == "none" && mayBeNone) return DnsMode::none;
  throw UsageError("--dns-conf-mode has no mode \"" + printable(text) + "\"");
}

void parseDnsModes(const Argument& argument, RunOptions& options) {
  for (const std::string_view part : split(argument.required(), ',')) {
    const std::size_t equals = part.find('=');
    const std::string_view file = part.substr(0, equals);
    const std::string_view mode =
        equals == std::string_view::npos ? std::string_view() : part.substr(equals + 1);
    if (file == "resolv") {
      options.resolv = parseDnsMode(mode, true);
    } else if (file == "hosts") {
      options.hosts = parseDnsMode(mode, false);
    } else {
      throw UsageError("--dns-conf-mode has no file \"" + printable(file) + "\"");
    }
  }
}

bool isHostIpc(const Argument& argument) {
  const std::string_view mode = argument.required();
  if (mode == "parent") return true;
  if (mode == "auto" || mode == "private") return false;
  throw UsageError(argument.shown() + ": the modes are auto, private and parent");
}

}  // namespace

RunOptions parseRunOptions(const std::vector<std::string>& arguments) {
  std::optional<std::string> uuid;
  RunOptions options(*Uuid::parse("00000000-0000-0000-0000-000000000000"));
  for (const std::string& text : arguments) {
    const Argument argument(text);
    if (argument.name == "--debug") {
      options.debug = argument.flag();
    } else if (argument.name == "--net") {
      setNetworks(argument, options);
    } else if (argument.name == "--interactive") {
      options.interactive = argument.flag();
    } else if (argument.name == "--local-config") {
      options.localConfig = argument.required();
    } else if (argument.name == "--mds-token") {
      options.metadataToken = argument.required();
    } else if (argument.name == "--hostname") {
      options.hostname = argument.value.value_or("");
    } else if (argument.name == "--disable-capabilities-restriction") {
      options.disableCapabilities = argument.flag();
    } else if (argument.name == "--disable-paths") {
      options.disablePaths = argument.flag();
    } else if (argument.name == "--disable-seccomp") {
      options.disableSeccomp = argument.flag();
    } else if (argument.name == "--dns-conf-mode") {
      parseDnsModes(argument, options);
    } else if (argument.name == "--ipc") {
      options.hostIpc = isHostIpc(argument);
    } else if (argument.name == "--private-users") {
      options.users = IdRange::parse(argument.required());
      if (!options.users) throw UsageError(argument.shown() + " is not FIRST:COUNT");
    } else if (argument.name == "--mutable") {
      options.changing = argument.flag();
    } else {
      setUuid(uuid, argument);
    }
  }
  options.uuid = parseUuid(uuid);
  // sethostname(2) takes 64 bytes; "rkt-UUID" has 40.
  if (options.hostname.size() > 64) throw UsageError("--hostname is longer than 64 bytes");
  return options;
}

EnterOptions parseEnterOptions(const std::vector<std::string>& arguments) {
  EnterOptions options;
  auto next = arguments.begin();
  for (; next != arguments.end() && *next != "--"; ++next) {
    const Argument argument(*next);
    if (argument.name == "--pid") {
      const auto pid = parseUint(argument.required());
      if (!pid || *pid < 2 || *pid > std::numeric_limits<pid_t>::max()) {
        throw UsageError(argument.shown() + " is not a process ID");
      }
      options.pid = static_cast<pid_t>(*pid);
    } else if (argument.name == "--appname") {
      options.app = argument.required();
    } else if (argument.name == "--debug") {
      argument.flag();
    } else {
      argument.unknown();
    }
  }
  if (next != arguments.end()) options.command.assign(next + 1, arguments.end());
  if (options.pid == 0) throw UsageError("--pid is missing");
  if (options.app.empty()) throw UsageError("--appname is missing");
  if (options.command.empty()) throw UsageError("the command to execute is missing after \"--\"");
  return options;
}

StopOptions parseStopOptions(const std::vector<std::string>& arguments) {
  std::optional<std::string> uuid;
  bool force = false;
  for (const std::string& text : arguments) {
    const Argument argument(text);
    if (argument.name == "--force") {
      force = argument.flag();
    } else if (argument.name == "--debug") {
      argument.flag();
    } else {
      setUuid(uuid, argument);
    }
  }
  StopOptions options(parseUuid(uuid));
  options.force = force;
  return options;
}

GcOptions parseGcOptions(const std::vector<std::string>& arguments) {
  std::optional<std::string> uuid;
  std::string localConfig;
  for (const std::string& text : arguments) {
    const Argument argument(text);
    if (argument.name == "--debug") {
      argument.flag();
    } else if (argument.name == "--local-config") {
      localConfig = argument.required();
    } else {
      setUuid(uuid, argument);
    }
  }
  GcOptions options(parseUuid(uuid));
  options.localConfig = localConfig;
  return options;
}

}  // namespace actool::run::native
