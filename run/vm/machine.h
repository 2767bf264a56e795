// The command line of QEMU for a pod.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/fs.h"
#include "core/base/json.h"
#include "run/native/plan.h"

namespace actool::run::vm {

// A file that the guest sees as a read-only disk. Its serial number is how the guest finds it.
struct Disk {
  Path file;
  std::string serial;
};

// More would not find a place on the machine's bus.
inline constexpr std::size_t kMostDisks = 24;

struct Machine {
  bool kvm = false;
  std::uint64_t memoryMib = 0;
  unsigned cpus = 1;
  Path kernel = {};
  std::vector<Disk> disks = {};
  std::string shareSocket = {};            // of virtiofsd, relative; empty: nothing is shared
  bool userNetwork = false;                // one interface, behind QEMU's own address translation
  std::vector<std::string> forwards = {};  // of it: "tcp:127.0.0.1:8080-:80"
  // Descriptors that QEMU inherits.
  int initrd = -1;   // a file
  int port = -1;     // a socket: the port that the guest's program talks over
  int console = -1;  // a socket: what the kernel says
};

// What the guest's program finds things by.
inline constexpr const char* kPortName = "actool.pod";
inline constexpr const char* kShareTag = "actool";

// What the pod's isolators ask for: the pod's limit, else the sum of its apps' when all have one,
// with the guest's own needs on top; else a default.
std::uint64_t guestMemoryMib(const native::PodPlan& plan);
// The same of `resource/cpu`, rounded up and not more than `online`; else `standard`.
unsigned guestCpus(const native::PodPlan& plan, unsigned online, unsigned standard);

// Of the ports that the pod exposes; `mappings` are CNI's portMappings.
std::vector<std::string> portForwards(const Json& mappings);

std::vector<std::string> machineCommand(const Path& qemu, const Machine& machine);

}  // namespace actool::run::vm
