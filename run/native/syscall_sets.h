// Names for sets of system calls (spec/ace.md, os/linux/seccomp-*-set), and the default filter's.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>

namespace actool::run::native {

// The calls in the set of that name: "@rkt/default-whitelist", "@systemd/network-io" and so on. The
// names of docker and of rkt mean the same; those of systemd are its groups, "default-whitelist"
// being its "default". Calls that this machine does not have are in it all the same. Nothing
// when there is no such set; "@appc.io/all" and "@appc.io/empty" are none of these.
std::optional<std::set<std::string>> syscallSet(std::string_view name);

// What apps may call when they ask for nothing, beside those with conditions on their arguments
// (seccomp.cc).
std::set<std::string> ordinarySyscalls();

// What no app gets without the capability that it is for.
struct CapabilitySyscalls {
  int capability;
  std::string_view calls;  // separated by blanks
};
std::span<const CapabilitySyscalls> capabilitySyscalls();

// What is refused with EPERM, as a call that needs a privilege would be, where calls that are in
// no list at all are ones that the kernel does not have (ENOSYS): programs fall back from those.
std::set<std::string> privilegedSyscalls();

}  // namespace actool::run::native
