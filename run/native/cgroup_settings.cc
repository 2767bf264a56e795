#include "run/native/cgroup_settings.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/base/fs.h"
#include "core/base/strings.h"

namespace actool::run::native {
namespace {

constexpr std::string_view kCpu = "resource/cpu";
constexpr std::string_view kMemory = "resource/memory";
constexpr std::string_view kBlockBandwidth = "resource/block-bandwidth";
constexpr std::string_view kBlockOperations = "resource/block-iops";
constexpr std::string_view kCpuShares = "os/linux/cpu-shares";

// The kernel's own: 100 ms, of which no less than 1 ms may be had.
constexpr std::int64_t kPeriod = 100000;
constexpr std::int64_t kLeastQuota = 1000;
constexpr std::int64_t kLeastShares = 2;
constexpr std::int64_t kMostShares = 262144;
// The share of a core, as cgroups count it.
constexpr std::int64_t kSharesOfOneCore = 1024;

// Version 1 counts shares from 2 to 262144 with 1024 in the middle, version 2 from 1 to 10000
// with 100; what keeps the ends keeps the order.
std::int64_t weightOf(std::int64_t shares) {
  return 1 + (shares - kLeastShares) * 9999 / (kMostShares - kLeastShares);
}

CgroupWrite sharesWrite(std::int64_t shares, bool unified) {
  if (unified) return {"cpu.weight", std::to_string(weightOf(shares))};
  return {"cpu.shares", std::to_string(shares)};
}

void setCpu(CgroupSettings& settings, const schema::ResourceIsolator& resource, bool unified,
            bool sharesAreGiven) {
  if (resource.limit) {
    // milli() is thousandths of a core.
    const std::int64_t asked = resource.limit->milli() * (kPeriod / 1000);
    const std::int64_t quota = std::max(asked, kLeastQuota);
    if (quota != asked) settings.change = "10m of a core is the least limit";
    if (unified) {
      settings.writes.push_back({"cpu.max", fmt::format("{} {}", quota, kPeriod)});
    } else {
      settings.writes.push_back({"cpu.cfs_period_us", std::to_string(kPeriod)});
      settings.writes.push_back({"cpu.cfs_quota_us", std::to_string(quota)});
    }
  }
  if (sharesAreGiven) {
    if (resource.request) settings.change = "os/linux/cpu-shares stands for the request";
    return;
  }
  // "If request is omitted, it defaults to the value of limit."
  const schema::Quantity& request = resource.request ? *resource.request : resource.limit.value();
  const std::int64_t shares = request.milli() * kSharesOfOneCore / 1000;
  settings.writes.push_back(sharesWrite(std::clamp(shares, kLeastShares, kMostShares), unified));
}

void setMemory(CgroupSettings& settings, const schema::ResourceIsolator& resource, bool unified) {
  // "If request is omitted, it defaults to the value of limit."
  const schema::Quantity& request = resource.request ? *resource.request : resource.limit.value();
  settings.writes.push_back(
      {unified ? "memory.low" : "memory.soft_limit_in_bytes", std::to_string(request.value())});
  if (!resource.limit) return;
  const std::string limit = std::to_string(resource.limit->value());
  if (unified) {
    settings.writes.push_back({"memory.max", limit});
    settings.writes.push_back({"memory.swap.max", "0", true});
  } else {
    settings.writes.push_back({"memory.limit_in_bytes", limit});
    settings.writes.push_back({"memory.memsw.limit_in_bytes", limit, true});
  }
}

void setBlock(CgroupSettings& settings, const schema::Quantity& limit, bool unified, bool bytes,
              const std::vector<std::string>& devices) {
  for (const std::string& device : devices) {
    if (unified) {
      const std::string_view format = bytes ? "{0} rbps={1} wbps={1}" : "{0} riops={1} wiops={1}";
      settings.writes.push_back(
          {"io.max", fmt::format(fmt::runtime(format), device, limit.value()), true});
      continue;
    }
    const std::string value = fmt::format("{} {}", device, limit.value());
    const char* kind = bytes ? "bps" : "iops";
    settings.writes.push_back({fmt::format("blkio.throttle.read_{}_device", kind), value});
    settings.writes.push_back({fmt::format("blkio.throttle.write_{}_device", kind), value});
  }
  settings.change = "it holds for each of the block devices that there are now";
  if (!unified) settings.change += ", and not for writing that is buffered";
}

}  // namespace

bool isCgroupIsolator(std::string_view name) {
  return name == kCpu || name == kMemory || name == kBlockBandwidth || name == kBlockOperations ||
         name == kCpuShares;
}

std::string controllerOf(std::string_view isolator, bool unified) {
  if (isolator == kMemory) return "memory";
  if (isolator == kCpu || isolator == kCpuShares) return "cpu";
  return unified ? "io" : "blkio";
}

CgroupSettings cgroupSettings(const schema::Isolators& isolators, const schema::Isolator& isolator,
                              bool unified, const std::vector<std::string>& blockDevices) {
  const std::string& name = isolator.name.str();
  CgroupSettings settings;
  settings.controller = controllerOf(name, unified);
  if (name == kCpuShares) {
    settings.writes.push_back(sharesWrite(isolator.value.get<std::int64_t>(), unified));
    return settings;
  }
  const schema::ResourceIsolator resource = isolators.resource(name).value();
  if (name == kCpu) {
    setCpu(settings, resource, unified, isolators.find(kCpuShares) != nullptr);
  } else if (name == kMemory) {
    setMemory(settings, resource, unified);
  } else {
    setBlock(settings, resource.limit.value(), unified, name == kBlockBandwidth, blockDevices);
  }
  return settings;
}

std::vector<std::string> blockDevices() {
  std::vector<std::string> devices;
  for (const std::string& name : listDir("/sys/block")) {
    // Devices without a size (unused loop devices) have no requests, and are some dozens.
    const auto size = tryReadFile(Path("/sys/block") / name / "size", 64);
    const auto number = tryReadFile(Path("/sys/block") / name / "dev", 64);
    if (!number || !size || trim(*size) == "0") continue;
    devices.emplace_back(trim(*number));
  }
  return devices;
}

}  // namespace actool::run::native
