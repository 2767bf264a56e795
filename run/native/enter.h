// The `enter` entry point: a command in the namespaces, the root and the role of a running app.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/fd.h"
#include "run/native/options.h"
#include "run/native/plan.h"
#include "run/pod_layout.h"

namespace actool::run::native {

// The working directory is the pod's. Runs the command to its end and gives its exit code. Throws
// Error when the app is not running or something on the way in failed.
int enterApp(const EnterOptions& options, const PodLayout& layout);

// Of a pod with IDs of its own: a process whose user namespace it is, and what they begin at.
struct EnteredUsers {
  int process = -1;  // a pidfd, not owned
  std::uint32_t shift = 0;
};

// For a process that is in the app's namespaces already, which its children are in for its PID
// namespace too: runs the command as the app, at our terminal, with `variables` added to its
// environment. Its exit code.
int runCommand(const AppPlan& app, const EnterOptions& options,
               const std::map<std::string, std::string>& variables = {},
               const EnteredUsers& users = {});

// The PID that a process has in the innermost of its PID namespaces, from the text of its
// /proc/PID/status ("NSpid:\t812\t2"); nothing when it is in the host's only.
std::optional<pid_t> innerPid(std::string_view status);
// The same, of a process that runs now; nothing when it has ended.
std::optional<pid_t> innerPidOf(pid_t pid);

// Whether a process still is a copy of the one that forked it, which has executed nothing of its
// own: the bit PF_FORKNOEXEC of the ninth field of /proc/PID/stat (proc(5)), whose text this is.
bool hasNotExecuted(std::string_view stat);
// Blocks until `begun` says so of an app. NotFoundError when the process, a pidfd, ends instead,
// Error when it takes too long.
void awaitBegin(const UniqueFd& process, const std::function<bool()>& begun);
// Blocks until the process, whose pidfd this is too, has executed a program. Before that it is on
// its way into the pod, and what it is in may still be the host's. Throws as awaitBegin().
void awaitProgram(const UniqueFd& process, pid_t pid);

}  // namespace actool::run::native
