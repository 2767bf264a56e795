// The arguments of the entry points (docs/stage1-interface.md, rkt's interface version 6).
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "core/base/uuid.h"
#include "run/user_namespace.h"

namespace actool::run::native {

enum class DnsMode { standard, host, stage0, none };

struct RunOptions {
  explicit RunOptions(Uuid podUuid) : uuid(std::move(podUuid)) {}

  Uuid uuid;
  bool debug = false;
  bool hostNetwork = false;
  std::string networks;  // to join, as --net has them; empty: none
  std::string localConfig;
  bool interactive = false;
  std::string hostname;  // empty: "rkt-UUID"
  bool disableCapabilities = false;
  bool disablePaths = false;
  bool disableSeccomp = false;
  DnsMode resolv = DnsMode::standard;
  DnsMode hosts = DnsMode::standard;  // never none
  bool hostIpc = false;
  std::optional<IdRange> users;  // what the pod's IDs are on the host, when not the same
  bool changing = false;         // apps come and go (--mutable)
  std::string metadataToken;     // empty: no metadata service
};

struct EnterOptions {
  pid_t pid = 0;  // of the pod's first process, as the host counts
  std::string app;
  std::vector<std::string> command;  // never empty
};

struct GcOptions {
  explicit GcOptions(Uuid podUuid) : uuid(std::move(podUuid)) {}

  Uuid uuid;
  std::string localConfig;
};

struct StopOptions {
  explicit StopOptions(Uuid podUuid) : uuid(std::move(podUuid)) {}

  Uuid uuid;
  bool force = false;
};

// `arguments` are those after the program's name. UsageError on what is unknown, malformed.
RunOptions parseRunOptions(const std::vector<std::string>& arguments);
EnterOptions parseEnterOptions(const std::vector<std::string>& arguments);
StopOptions parseStopOptions(const std::vector<std::string>& arguments);
// gc: [--debug] [--local-config=DIR] UUID
GcOptions parseGcOptions(const std::vector<std::string>& arguments);

}  // namespace actool::run::native
