#include "run/native/sysctl.h"

#include <fcntl.h>
#include <sched.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/base/strings.h"

namespace actool::run::native {
namespace {

constexpr std::string_view kSysctl = "os/unix/sysctl";

bool isOfIpc(std::string_view name) {
  return name.starts_with("kernel.shm") || name.starts_with("kernel.msg") || name == "kernel.sem" ||
         name.starts_with("fs.mqueue.");
}

void requireOwn(const std::string& name, bool ownNetwork, bool ownIpc) {
  // "net.ipv4.conf.eth0/1.x" is how sysctl(8) writes a dot of a name.
  const bool odd = std::any_of(name.begin(), name.end(), [](char c) {
    return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' &&
           c != '_' && c != '-' && c != '/';
  });
  if (odd || name.find("..") != std::string::npos || name.starts_with("/")) {
    throw Error("\"" + printable(name) + "\" is no name of a parameter");
  }
  if (name.starts_with("net.")) {
    if (ownNetwork) return;
    throw Error("\"" + name + "\" is of the network, which is the host's in this pod");
  }
  if (isOfIpc(name)) {
    if (ownIpc) return;
    throw Error("\"" + name + "\" is of the IPC namespace, which is the host's in this pod");
  }
  if (name == "kernel.domainname") return;
  throw Error("\"" + name + "\" is not a pod's own, it would change the host");
}

std::string pathOf(const std::string& name) {
  std::string path = name;
  for (char& c : path)
    c = c == '.' ? '/' : c == '/' ? '.' : c;
  return "/proc/sys/" + path;
}

}  // namespace

Sysctls podSysctls(const schema::Isolators& isolators, bool ownNetwork, bool ownIpc) {
  Sysctls sysctls;
  const schema::Isolator* isolator = isolators.find(kSysctl);
  if (isolator == nullptr) return sysctls;
  withContext(kSysctl, [&] {
    for (const auto& [name, value] : isolator->value.items()) {
      requireOwn(name, ownNetwork, ownIpc);
      sysctls.emplace_back(name, value.get<std::string>());
    }
  });
  return sysctls;
}

Sysctls sysctlsOf(const Sysctls& sysctls, std::uint64_t kinds) {
  Sysctls chosen;
  for (const auto& one : sysctls) {
    const std::uint64_t kind = one.first.starts_with("net.") ? CLONE_NEWNET
                               : isOfIpc(one.first)          ? CLONE_NEWIPC
                                                             : CLONE_NEWUTS;
    if ((kinds & kind) != 0) chosen.push_back(one);
  }
  return chosen;
}

Sysctls privateUsersSysctls() {
  return {{"net.ipv4.ip_unprivileged_port_start", "0"},
          {"net.ipv4.ping_group_range", "0 2147483647"}};
}

void setSysctls(const Sysctls& sysctls) {
  for (const auto& [name, value] : sysctls) {
    withContext("setting " + name, [&, &key = name, &text = value] {
      const UniqueFd file = openFile(pathOf(key), O_WRONLY);
      writeAll(file.get(), text, "\"" + printable(text) + "\"");
    });
  }
}

}  // namespace actool::run::native
