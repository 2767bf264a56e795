#include "run/oci/limits.h"

#include <linux/magic.h>
#include <sys/vfs.h>

#include "core/base/error.h"
#include "core/base/fs.h"
#include "core/base/strings.h"
#include "run/native/cgroup_settings.h"
#include "run/native/seccomp.h"

namespace actool::run::oci {
namespace {

bool isUnified() {
  struct statfs info {};
  return ::statfs("/sys/fs/cgroup", &info) == 0 && info.f_type == CGROUP2_SUPER_MAGIC;
}

std::int64_t number(std::string_view text) {
  const auto value = parseUint(text);
  if (!value) throw Error("\"" + printable(text) + "\" is no number of a limit");
  return static_cast<std::int64_t>(*value);
}

// Files of version 1 that are a number in the configuration: its group and member.
struct NumberFile {
  std::string_view file;
  const char* group;
  const char* member;
};
constexpr NumberFile kNumbers[] = {
    {"memory.limit_in_bytes", "memory", "limit"},
    {"memory.memsw.limit_in_bytes", "memory", "swap"},
    {"memory.soft_limit_in_bytes", "memory", "reservation"},
    {"cpu.shares", "cpu", "shares"},
    {"cpu.cfs_period_us", "cpu", "period"},
    {"cpu.cfs_quota_us", "cpu", "quota"},
};

// And those that have one for each block device, "8:0 1000".
constexpr NumberFile kDevices[] = {
    {"blkio.throttle.read_bps_device", "blockIO", "throttleReadBpsDevice"},
    {"blkio.throttle.write_bps_device", "blockIO", "throttleWriteBpsDevice"},
    {"blkio.throttle.read_iops_device", "blockIO", "throttleReadIOPSDevice"},
    {"blkio.throttle.write_iops_device", "blockIO", "throttleWriteIOPSDevice"},
};

void addVersion1(Json& resources, const native::CgroupWrite& write) {
  for (const NumberFile& known : kNumbers) {
    if (write.file != known.file) continue;
    // The kernel may have no account of swap; the runtime would fail.
    if (write.mayBeMissing && !actool::exists("/sys/fs/cgroup/memory/" + write.file)) return;
    resources[known.group][known.member] = number(write.value);
  }
  for (const NumberFile& known : kDevices) {
    if (write.file != known.file) continue;
    const std::string_view text = write.value;
    const std::size_t colon = text.find(':');
    const std::size_t space = text.find(' ');
    resources[known.group][known.member].push_back(
        {{"major", number(text.substr(0, colon))},
         {"minor", number(text.substr(colon + 1, space - colon - 1))},
         {"rate", number(text.substr(space + 1))}});
  }
}

}  // namespace

ContainerLimits containerLimits(const schema::Isolators& isolators) {
  ContainerLimits limits;
  const bool unified = isUnified();
  for (const schema::Isolator& isolator : isolators.list()) {
    const std::string& name = isolator.name.str();
    if (!native::isCgroupIsolator(name)) continue;
    const native::CgroupSettings settings =
        native::cgroupSettings(isolators, isolator, unified, native::blockDevices());
    limits.changes[name] = settings.change;
    for (const native::CgroupWrite& write : settings.writes) {
      if (!unified) {
        addVersion1(limits.resources, write);
        continue;
      }
      Json& value = limits.resources["unified"][write.file];
      // io.max is written a line for each device.
      value = value.is_string() ? value.get<std::string>() + "\n" + write.value : write.value;
    }
  }
  return limits;
}

Json containerSeccomp(const schema::Isolators& isolators) {
  const auto request = native::requestedCalls(isolators);
  if (!request) return nullptr;
  const auto action = [&](bool allowed) -> Json {
    if (allowed) return "SCMP_ACT_ALLOW";
    return request->errnum == 0 ? "SCMP_ACT_KILL_PROCESS" : "SCMP_ACT_ERRNO";
  };
  Json seccomp{{"defaultAction", action(!request->retain)}, {"syscalls", Json::array()}};
  if (request->calls.empty()) return seccomp;
  Json rule{{"names", request->calls}, {"action", action(request->retain)}};
  if (request->errnum != 0) {
    if (request->retain) {
      seccomp["defaultErrnoRet"] = request->errnum;
    } else {
      rule["errnoRet"] = request->errnum;
    }
  }
  seccomp["syscalls"].push_back(std::move(rule));
  return seccomp;
}

}  // namespace actool::run::oci
