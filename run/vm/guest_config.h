// What the guest's program is told beside the manifests: a file of the initial root file system.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/json.h"
#include "run/vm/disks.h"

namespace actool::run::vm {

// Paths in the initial root file system, relative to it.
inline constexpr const char* kGuestConfig = "actool/config";
inline constexpr const char* kGuestModules = "actool/modules";  // 0.ko, 1.ko, ... in order
inline constexpr const char* kGuestPod = "actool/pod";          // files of the pod's directory
inline constexpr const char* kGuestEtc = "actool/etc";          // files of the host's /etc

struct GuestConfig {
  std::vector<std::string> arguments;  // of the run entry point
  std::vector<AppRoot> roots;          // by app
  std::vector<std::string> modules;    // names of files in kGuestModules, in order
  bool shared = false;                 // there is a share
  bool terminal = false;               // the pod's standard files are a terminal
  bool network = false;                // there is an interface to set up
  std::string term;                    // $TERM of the apps' terminal
};

std::string formatGuestConfig(const GuestConfig& config);
// Throws Error.
GuestConfig parseGuestConfig(std::string_view text);

// What a command that enters is: the payload of a `start` frame.
struct EnterRequest {
  std::string app;
  std::vector<std::string> command;
  bool terminal = false;
  std::string term;
};

std::string formatEnterRequest(const EnterRequest& request);
EnterRequest parseEnterRequest(std::string_view text);

}  // namespace actool::run::vm
