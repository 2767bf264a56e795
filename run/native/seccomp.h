// Filters of system calls (spec/ace.md, os/linux/seccomp-{retain,remove}-set), made by libseccomp.
//
// The default filter is made when this program is built: to start a pod costs no more than to hand
// it to the kernel. Only filters that an app asks for are made when it starts.
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/schema/isolator.h"

namespace actool::run::native {

using FilterProgram = std::vector<sock_filter>;

// The filter for an app: what its isolators ask for, else the default one. Nothing when it asked
// for none (retain "@appc.io/all"). `capabilities` are those it gets: the default filter lets the
// calls through that they are for. Throws Error on a call, set or error name that does not exist.
std::optional<FilterProgram> appFilter(const schema::Isolators& isolators,
                                       std::uint64_t capabilities);

// What the isolators ask for, by names.
struct RequestedCalls {
  bool retain = false;          // only `calls` are allowed; else only they are refused
  std::set<std::string> calls;  // those are among them without which no program can run
  int errnum = 0;               // 0: a refused call kills
};
// Nothing when they ask for nothing, for no filter or for the default one. Throws as appFilter().
std::optional<RequestedCalls> requestedCalls(const schema::Isolators& isolators);

// Only `calls`, and those without which no program can be executed and ended, are allowed; others
// kill the process with SIGSYS, or fail with `errnum` when that is not 0.
FilterProgram retainFilter(const std::set<std::string>& calls, int errnum);
// `calls` are refused, all others are allowed.
FilterProgram removeFilter(const std::set<std::string>& calls, int errnum);
// The default: refused calls fail, with EPERM where they need privileges, else with ENOSYS.
FilterProgram makeDefaultFilter(std::uint64_t capabilities);
// makeDefaultFilter() for capabilities none of which brings a call, as it was built in.
std::span<const sock_filter> builtInFilter();

// The number of "EPERM"; nothing when there is no such error.
std::optional<int> errorNumber(std::string_view name);

// Puts this process, and what it executes, under the filter. Needs CAP_SYS_ADMIN or no_new_privs.
void installFilter(const FilterProgram& program);

}  // namespace actool::run::native
