// The command line of systemd-nspawn(1) for an app.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "run/native/plan.h"

namespace actool::run::nspawn {

struct Machine {
  // Neither is owned.
  const native::PodPlan& pod;
  const native::AppPlan& app;
  std::string name = {};  // of the machine, unique on this host: 64 characters of a host name
  Path program = {};      // this stage1's directory: our program in it is the machine's PID 1
  Path data = {};         // a directory for that program; appears as kInsideDir/pod
  pid_t network = 0;      // whose network namespace the machine joins; 0: the host's
  bool console = false;   // at a terminal
  std::vector<std::string> arguments = {};  // of our program
};

// Where our program and its data appear in the machine: nspawn's /run is a new file system.
inline constexpr const char* kInsideDir = "/run/actool";

std::vector<std::string> machineCommand(const Path& nspawn, const Machine& machine);

}  // namespace actool::run::nspawn
