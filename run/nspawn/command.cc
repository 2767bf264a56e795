#include "run/nspawn/command.h"

namespace actool::run::nspawn {
namespace {

// --bind takes SOURCE:TARGET:OPTIONS.
std::string escaped(const std::string& path) {
  std::string text;
  for (const char c : path) {
    if (c == ':' || c == '\\') text.push_back('\\');
    text.push_back(c);
  }
  return text;
}

std::string bindOption(const std::string& source, const std::string& target, bool readOnly,
                       bool recursive) {
  return std::string(readOnly ? "--bind-ro=" : "--bind=") + escaped(source) + ":" +
         escaped(target) + (recursive ? ":rbind" : ":norbind");
}

}  // namespace

std::vector<std::string> machineCommand(const Path& nspawn, const Machine& machine) {
  const std::string inside = kInsideDir;
  // Nothing is registered, resolved or linked: a machine is a child of ours and no more. What an
  // app may do is limited by our program, which is its PID 1 and needs capabilities for that.
  std::vector<std::string> argv{nspawn.string(),
                                "--quiet",
                                "--register=no",
                                "--keep-unit",
                                "--settings=no",
                                "--resolv-conf=off",
                                "--timezone=off",
                                "--link-journal=no",
                                "--capability=all",
                                "--machine=" + machine.name,
                                "--hostname=" + machine.pod.hostname,
                                "--directory=" + machine.app.rootfs.string(),
                                machine.console ? "--console=interactive" : "--console=pipe",
                                bindOption(machine.program, inside + "/bin", true, false),
                                bindOption(machine.data, inside + "/pod", true, false)};
  if (machine.network != 0) {
    argv.push_back("--network-namespace-path=/proc/" + std::to_string(machine.network) + "/ns/net");
  }
  if (machine.app.readOnlyRoot) argv.emplace_back("--read-only");
  for (const native::MountPlan& plan : machine.app.mounts)
    argv.push_back(bindOption(plan.source, plan.target, plan.readOnly, plan.recursive));
  argv.push_back(inside + "/bin/inside");
  argv.insert(argv.end(), machine.arguments.begin(), machine.arguments.end());
  return argv;
}

}  // namespace actool::run::nspawn
