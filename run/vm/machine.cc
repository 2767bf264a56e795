#include "run/vm/machine.h"

#include <algorithm>
#include <numeric>
#include <optional>

#include "core/base/error.h"
#include "core/base/json.h"

namespace actool::run::vm {
namespace {

// With room for what apps write, which is memory. Not used, it takes none of the host's.
constexpr std::uint64_t kStandardMib = 512;
// The kernel, our program, and page tables; more of the kernel's grows with the memory.
constexpr std::uint64_t kOwnMib = 96;
constexpr std::uint64_t kMib = 1 << 20;
// The transports that a microvm has.
constexpr std::size_t kMicrovmDisks = 5;

std::optional<std::int64_t> limitOf(const schema::Isolators& isolators, std::string_view name) {
  const auto resource = isolators.resource(name);
  if (!resource || !resource->limit) return std::nullopt;
  return resource->limit->milli();
}

// In thousandths.
std::optional<std::int64_t> podLimit(const native::PodPlan& plan, std::string_view name) {
  if (const auto own = limitOf(plan.isolators, name)) return own;
  std::int64_t sum = 0;
  for (const native::AppPlan& app : plan.apps) {
    const auto one = limitOf(app.app.isolators, name);
    if (!one) return std::nullopt;
    sum += *one;
  }
  return sum;
}

void addDisk(std::vector<std::string>& argv, const Disk& disk, const std::string& bus) {
  argv.emplace_back("-blockdev");
  argv.push_back(dumpLine({{"driver", "raw"},
                           {"node-name", disk.serial},
                           {"read-only", true},
                           {"file",
                            {{"driver", "file"},
                             {"filename", disk.file.string()},
                             {"read-only", true},
                             {"locking", "off"}}}}));
  argv.emplace_back("-device");
  argv.push_back("virtio-blk-" + bus + ",drive=" + disk.serial + ",serial=" + disk.serial);
}

}  // namespace

std::uint64_t guestMemoryMib(const native::PodPlan& plan) {
  const auto limit = podLimit(plan, "resource/memory");
  if (!limit || *limit <= 0) return kStandardMib;
  const auto bytes = static_cast<std::uint64_t>(*limit) / 1000;
  const std::uint64_t apps = (bytes + kMib - 1) / kMib;
  return apps + kOwnMib + apps / 32;
}

unsigned guestCpus(const native::PodPlan& plan, unsigned online, unsigned standard) {
  const auto limit = podLimit(plan, "resource/cpu");
  if (!limit || *limit <= 0) return standard;
  return static_cast<unsigned>(
      std::clamp<std::int64_t>((*limit + 999) / 1000, 1, static_cast<std::int64_t>(online)));
}

std::vector<std::string> portForwards(const Json& mappings) {
  std::vector<std::string> forwards;
  for (const Json& mapping : mappings) {
    // The address was checked where the manifest was parsed to be one; QEMU has no IPv6 here.
    const std::string address = stringMemberOr(mapping, "hostIP", "");
    if (address.find_first_not_of("0123456789.") != std::string::npos) {
      throw UsageError("a port of a virtual machine can only be exposed at an IPv4 address");
    }
    forwards.push_back(stringMember(mapping, "protocol") + ":" + address + ":" +
                       std::to_string(member(mapping, "hostPort").get<std::uint64_t>()) + "-:" +
                       std::to_string(member(mapping, "containerPort").get<std::uint64_t>()));
  }
  return forwards;
}

std::vector<std::string> machineCommand(const Path& qemu, const Machine& machine) {
  // A microvm boots in two thirds of the time, but virtiofsd and it do not get on.
  const bool micro = machine.shareSocket.empty() && machine.disks.size() <= kMicrovmDisks;
  const std::string bus = micro ? "device" : "pci";
  const std::string memory = std::to_string(machine.memoryMib) + "M";
  std::string type = micro ? "microvm,isa-serial=on,rtc=on" : "q35";
  // Emulated, the kernel needs the old timer to find out how fast the processor's clock is; without
  // the clock of the day it waits a second for one.
  if (micro && !machine.kvm) type += ",pit=on,pic=on";
  if (!machine.shareSocket.empty()) type += ",memory-backend=memory";
  // The self-tests of the kernel's cryptography are a fifth of an emulated boot.
  std::string kernelLine = "console=ttyS0 quiet panic=-1 cgroup_no_v1=all cryptomgr.notests";
  if (micro && !machine.kvm) kernelLine += " tsc_early_khz=2000000";

  std::vector<std::string> argv{qemu.string(),
                                "-nodefaults",
                                "-no-user-config",
                                "-no-reboot",
                                "-display",
                                "none",
                                "-sandbox",
                                "on,obsolete=deny,elevateprivileges=deny,spawn=deny,"
                                "resourcecontrol=deny",
                                "-machine",
                                type,
                                "-accel",
                                machine.kvm ? "kvm" : "tcg",
                                "-cpu",
                                machine.kvm ? "host" : "max",
                                "-smp",
                                std::to_string(machine.cpus),
                                "-m",
                                memory,
                                "-kernel",
                                machine.kernel.string(),
                                "-initrd",
                                "/proc/self/fd/" + std::to_string(machine.initrd),
                                "-append",
                                kernelLine,
                                "-chardev",
                                "socket,id=console,fd=" + std::to_string(machine.console),
                                "-serial",
                                "chardev:console",
                                "-device",
                                "virtio-serial-" + bus,
                                "-chardev",
                                "socket,id=port,fd=" + std::to_string(machine.port),
                                "-device",
                                std::string("virtserialport,chardev=port,name=") + kPortName};
  for (const Disk& disk : machine.disks)
    addDisk(argv, disk, bus);
  if (!machine.shareSocket.empty()) {
    argv.insert(argv.end(), {"-object", "memory-backend-memfd,id=memory,share=on,size=" + memory,
                             "-chardev", "socket,id=share,path=" + machine.shareSocket, "-device",
                             "vhost-user-fs-" + bus + ",chardev=share,tag=" + kShareTag});
  }
  if (machine.userNetwork) {
    std::string network = "user,id=net";
    for (const std::string& forward : machine.forwards)
      network += ",hostfwd=" + forward;
    const std::string device = "virtio-net-" + bus + ",netdev=net";
    // No firmware of the card's: nothing is booted from the network.
    argv.insert(argv.end(), {"-netdev", network, "-device", micro ? device : device + ",romfile="});
  }
  return argv;
}

}  // namespace actool::run::vm
