#include "run/oci/config.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "core/base/error.h"
#include "run/native/capabilities.h"
#include "run/native/kernel_files.h"
#include "run/oci/limits.h"

namespace actool::run::oci {
namespace {

Json list(const std::vector<std::string>& strings) {
  return Json(strings);
}

Json capabilities(const ContainerSpec& spec) {
  const std::uint64_t mask = spec.app.capabilities.value_or(~std::uint64_t{0}) & spec.available;
  const Json bounding = list(native::capabilityNames(mask));
  // As the kernel leaves them after a change of user: root's stay, another user's go.
  const Json own = spec.identity.uid == 0 ? bounding : Json::array();
  return {{"bounding", bounding},
          {"effective", own},
          {"permitted", own},
          {"inheritable", Json::array()},
          {"ambient", Json::array()}};
}

Json process(const ContainerSpec& spec) {
  const schema::App& app = spec.app.app;
  Json made{{"terminal", spec.terminal},
            {"user",
             {{"uid", spec.identity.uid},
              {"gid", spec.identity.gid},
              {"umask", 022},
              {"additionalGids", app.supplementaryGids}}},
            {"args", list(spec.argv)},
            {"env", list(spec.environment)},
            {"cwd", app.workingDirectory.empty() ? "/" : app.workingDirectory},
            {"capabilities", capabilities(spec)},
            {"noNewPrivileges", spec.app.noNewPrivileges}};
  for (const native::SecurityLabel& label : spec.app.labels) {
    const bool selinux = label.kind == native::SecurityLabel::Kind::selinux;
    made[selinux ? "selinuxLabel" : "apparmorProfile"] = label.value;
  }
  if (const schema::Isolator* score = app.isolators.find("os/linux/oom-score-adj")) {
    made["oomScoreAdj"] = score->value;
  }
  return made;
}

Json mount(const char* target, const char* type, const char* source,
           const std::vector<std::string>& options) {
  return {{"destination", target}, {"type", type}, {"source", source}, {"options", options}};
}

Json volume(const native::MountPlan& plan, bool protect) {
  std::vector<std::string> options{plan.recursive ? "rbind" : "bind", "rprivate"};
  if (plan.readOnly) options.emplace_back("ro");
  if (plan.readOnly && plan.recursive) options.emplace_back("rro");
  if (protect) options.emplace_back("nodev");
  return {{"destination", plan.target},
          {"type", "bind"},
          {"source", plan.source.string()},
          {"options", options}};
}

// spec/OS-SPEC.md, Devices and File Systems. The runtime itself makes the device nodes.
Json mounts(const ContainerSpec& spec) {
  Json all = Json::array();
  all.push_back(mount("/proc", "proc", "proc", {"nosuid", "noexec", "nodev"}));
  all.push_back(mount("/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=64k"}));
  all.push_back(mount("/dev/pts", "devpts", "devpts",
                      {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}));
  all.push_back({{"destination", "/dev/shm"},
                 {"type", "bind"},
                 {"source", spec.shm.string()},
                 {"options", {"bind", "nosuid", "noexec", "nodev"}}});
  if (!spec.pod.options.hostIpc) {
    all.push_back(mount("/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"}));
  }
  all.push_back(mount("/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", "ro"}));
  for (const native::MountPlan& plan : spec.app.mounts)
    all.push_back(volume(plan, !spec.pod.options.disablePaths));
  return all;
}

Json namespaces(const ContainerSpec& spec) {
  const std::string dir = "/proc/" + std::to_string(spec.namespaces) + "/ns/";
  Json all = Json::array();
  all.push_back({{"type", "mount"}});
  all.push_back({{"type", "pid"}, {"path", dir + "pid"}});
  all.push_back({{"type", "uts"}, {"path", dir + "uts"}});
  if (!spec.pod.options.hostIpc) all.push_back({{"type", "ipc"}, {"path", dir + "ipc"}});
  if (!spec.pod.options.hostNetwork) all.push_back({{"type", "network"}, {"path", dir + "net"}});
  return all;
}

// The devices that every container has are the runtime's to allow; what is a volume comes on top.
Json devices(const ContainerSpec& spec) {
  Json rules = Json::array();
  rules.push_back({{"allow", spec.pod.options.disablePaths}, {"access", "rwm"}});
  for (const native::MountPlan& plan : spec.app.mounts) {
    struct stat info {};
    if (::stat(plan.source.c_str(), &info) != 0) throwErrno("looking at " + plan.source.string());
    if (!S_ISCHR(info.st_mode) && !S_ISBLK(info.st_mode)) continue;
    rules.push_back({{"allow", true},
                     {"type", S_ISCHR(info.st_mode) ? "c" : "b"},
                     {"major", major(info.st_rdev)},
                     {"minor", minor(info.st_rdev)},
                     {"access", plan.readOnly ? "r" : "rw"}});
  }
  return rules;
}

Json linuxPart(const ContainerSpec& spec) {
  Json resources = containerLimits(spec.app.app.isolators).resources;
  resources["devices"] = devices(spec);
  Json part{{"namespaces", namespaces(spec)},
            {"rootfsPropagation", "private"},
            {"cgroupsPath", "/" + spec.cgroup},
            {"resources", resources}};
  if (!spec.pod.options.disableSeccomp) {
    Json seccomp = containerSeccomp(spec.app.app.isolators);
    if (!seccomp.is_null()) part["seccomp"] = std::move(seccomp);
  }
  if (spec.pod.options.disablePaths) return part;
  part["maskedPaths"] = native::hiddenKernelFiles();
  part["readonlyPaths"] = native::readOnlyKernelFiles();
  return part;
}

}  // namespace

Json containerConfig(const ContainerSpec& spec) {
  return {{"ociVersion", "1.0.2"},
          {"process", process(spec)},
          {"root", {{"path", spec.rootfs.string()}, {"readonly", spec.app.readOnlyRoot}}},
          {"mounts", mounts(spec)},
          {"linux", linuxPart(spec)}};
}

}  // namespace actool::run::oci
