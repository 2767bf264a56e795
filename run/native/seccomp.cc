#include "run/native/seccomp.h"

#include <linux/capability.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>

#include <cerrno>
#include <cstring>

#include "core/base/error.h"
#include "core/base/json.h"
#include "core/base/strings.h"
#include "run/native/seccomp_compiler.h"
#include "run/native/syscall_sets.h"

namespace actool::run::native {
namespace {

constexpr std::string_view kRetainCalls = "os/linux/seccomp-retain-set";
constexpr std::string_view kRemoveCalls = "os/linux/seccomp-remove-set";

// spec/ace.md: "the minimum set of syscalls required for app life-cycle": we execute the app under
// its filter, and it has to be able to end.
constexpr const char* kLifeCycle[] = {"execve", "exit", "exit_group", "rt_sigreturn"};

// Namespaces are made by privileged programs only: an app's own would be a way to capabilities.
constexpr std::uint64_t kNamespaceFlags = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS |
                                          CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |
                                          CLONE_NEWNET;
// linux/vm_sockets.h: AF_VSOCK leads to the hypervisor, past every network namespace.
constexpr std::uint64_t kAfVsock = 40;

bool hasCapability(std::uint64_t capabilities, int capability) {
  return (capabilities & (std::uint64_t{1} << capability)) != 0;
}

std::set<std::string> callsOf(std::uint64_t capabilities) {
  std::set<std::string> calls;
  for (const CapabilitySyscalls& entry : capabilitySyscalls()) {
    if (!hasCapability(capabilities, entry.capability)) continue;
    for (const std::string_view call : split(entry.calls, ' '))
      calls.emplace(call);
  }
  return calls;
}

// The value of a seccomp isolator, whose shape the schema has checked.
struct Request {
  std::set<std::string> names;
  int errnum = 0;
};

Request parseRequest(const Json& value) {
  Request request;
  for (const Json& name : value.at("set"))
    request.names.insert(name.get<std::string>());
  const std::string error = stringMemberOr(value, "errno", "");
  if (!error.empty()) {
    const std::optional<int> number = errorNumber(error);
    if (!number) throw Error("there is no error \"" + printable(error) + "\"");
    request.errnum = *number;
  }
  return request;
}

std::set<std::string> expand(const std::set<std::string>& names) {
  std::set<std::string> calls;
  for (const std::string& name : names) {
    if (!name.starts_with("@")) {
      if (!isSystemCall(name)) {
        throw Error("there is no system call \"" + printable(name) + "\"");
      }
      calls.insert(name);
      continue;
    }
    std::optional<std::set<std::string>> set = syscallSet(name);
    if (!set) throw Error("there is no set of system calls \"" + printable(name) + "\"");
    calls.merge(*set);
  }
  return calls;
}

FilterProgram standardFilter(std::uint64_t capabilities) {
  if (!callsOf(capabilities).empty()) return makeDefaultFilter(capabilities);
  const std::span<const sock_filter> builtIn = builtInFilter();
  return {builtIn.begin(), builtIn.end()};
}

}  // namespace

std::optional<FilterProgram> appFilter(const schema::Isolators& isolators,
                                       std::uint64_t capabilities) {
  if (const schema::Isolator* retain = isolators.find(kRetainCalls)) {
    return withContext(kRetainCalls, [&]() -> std::optional<FilterProgram> {
      const Request request = parseRequest(retain->value);
      if (request.names.contains("@appc.io/all")) return std::nullopt;
      return retainFilter(expand(request.names), request.errnum);
    });
  }
  if (const schema::Isolator* remove = isolators.find(kRemoveCalls)) {
    return withContext(kRemoveCalls, [&]() -> std::optional<FilterProgram> {
      const Request request = parseRequest(remove->value);
      // "can be effectively used to opt-in implementation-specific seccomp filtering"
      if (request.names.contains("@appc.io/empty")) return standardFilter(capabilities);
      return removeFilter(expand(request.names), request.errnum);
    });
  }
  return standardFilter(capabilities);
}

std::optional<RequestedCalls> requestedCalls(const schema::Isolators& isolators) {
  for (const bool retain : {true, false}) {
    const std::string_view name = retain ? kRetainCalls : kRemoveCalls;
    const schema::Isolator* isolator = isolators.find(name);
    if (isolator == nullptr) continue;
    return withContext(name, [&]() -> std::optional<RequestedCalls> {
      const Request request = parseRequest(isolator->value);
      if (request.names.contains(retain ? "@appc.io/all" : "@appc.io/empty")) return std::nullopt;
      RequestedCalls found{retain, expand(request.names), request.errnum};
      if (retain) found.calls.insert(std::begin(kLifeCycle), std::end(kLifeCycle));
      return found;
    });
  }
  return std::nullopt;
}

FilterProgram retainFilter(const std::set<std::string>& calls, int errnum) {
  FilterCompiler compiler(errnum == 0 ? killProcess() : failWith(errnum));
  for (const std::string& call : calls)
    compiler.add(call, allow());
  for (const char* call : kLifeCycle)
    if (!calls.contains(call)) compiler.add(call, allow());
  return compiler.compile();
}

FilterProgram removeFilter(const std::set<std::string>& calls, int errnum) {
  FilterCompiler compiler(allow());
  for (const std::string& call : calls)
    compiler.add(call, errnum == 0 ? killProcess() : failWith(errnum));
  return compiler.compile();
}

FilterProgram makeDefaultFilter(std::uint64_t capabilities) {
  std::set<std::string> allowed = ordinarySyscalls();
  allowed.merge(callsOf(capabilities));
  // With conditions of their own, below.
  allowed.erase("socket");

  FilterCompiler compiler(failWith(ENOSYS));
  for (const std::string& call : allowed)
    compiler.add(call, allow());
  for (const std::string& call : privilegedSyscalls())
    if (!allowed.contains(call)) compiler.add(call, failWith(EPERM));

  if (hasCapability(capabilities, CAP_SYS_ADMIN)) {
    compiler.add("clone", allow());
    compiler.add("clone3", allow());
  } else {
    // clone3(2) has its flags in memory, where a filter cannot see them: libraries fall
    // back.
    compiler.addWhenMasked("clone", 0, kNamespaceFlags, 0, allow());
    for (std::uint64_t flag = kNamespaceFlags; flag != 0; flag &= flag - 1) {
      const std::uint64_t lowest = flag & -flag;
      compiler.addWhenMasked("clone", 0, lowest, lowest, failWith(EPERM));
    }
  }
  compiler.addUnlessEqual("socket", 0, kAfVsock, allow());
  compiler.addWhenEqual("socket", 0, kAfVsock, failWith(EPERM));
  // Of the personalities those that programs are known to use (setarch, gdb).
  for (const std::uint64_t value : {0UL, 0x8UL, 0x20000UL, 0x20008UL, 0xffffffffUL})
    compiler.addWhenEqual("personality", 0, value, allow());
  return compiler.compile();
}

std::optional<int> errorNumber(std::string_view name) {
  // Those that are further names of others.
  if (name == "EWOULDBLOCK") return EWOULDBLOCK;
  if (name == "EDEADLOCK") return EDEADLOCK;
  if (name == "ENOTSUP") return ENOTSUP;
  constexpr int kLastError = 133;  // EHWPOISON
  for (int number = 1; number <= kLastError; ++number) {
    const char* known = ::strerrorname_np(number);
    if (known != nullptr && name == known) return number;
  }
  return std::nullopt;
}

void installFilter(const FilterProgram& program) {
  sock_fprog filter{};
  filter.len = static_cast<unsigned short>(program.size());
  filter.filter = const_cast<sock_filter*>(program.data());  // the kernel only reads it
  if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) != 0) {
    throwErrno("installing the filter of system calls");
  }
}

}  // namespace actool::run::native
