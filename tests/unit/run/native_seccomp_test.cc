#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/syscall.h>

#include <cerrno>

#include "run/native/seccomp.h"
#include "run/native/syscall_sets.h"
#include "tests/unit/run/native_test_support.h"

namespace actool::run::native {
namespace {

constexpr std::uint32_t kAllow = SECCOMP_RET_ALLOW;
constexpr std::uint32_t kKill = SECCOMP_RET_KILL_PROCESS;
constexpr std::uint32_t refuse(int errnum) {
  return SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(errnum);
}

// Runs a filter as the kernel does, for the instructions that libseccomp makes.
std::uint32_t verdict(std::span<const sock_filter> program, const seccomp_data& data) {
  std::uint32_t accumulator = 0;
  for (std::size_t at = 0; at < program.size(); ++at) {
    const sock_filter& one = program[at];
    const auto jump = [&](bool taken) { at += taken ? one.jt : one.jf; };
    switch (one.code) {
      case BPF_LD | BPF_W | BPF_ABS:
        std::memcpy(&accumulator, reinterpret_cast<const char*>(&data) + one.k, 4);
        break;
      case BPF_ALU | BPF_AND | BPF_K:
        accumulator &= one.k;
        break;
      case BPF_JMP | BPF_JA:
        at += one.k;
        break;
      case BPF_JMP | BPF_JEQ | BPF_K:
        jump(accumulator == one.k);
        break;
      case BPF_JMP | BPF_JGE | BPF_K:
        jump(accumulator >= one.k);
        break;
      case BPF_JMP | BPF_JGT | BPF_K:
        jump(accumulator > one.k);
        break;
      case BPF_RET | BPF_K:
        return one.k;
      default:
        ADD_FAILURE() << "instruction " << one.code;
        return kKill;
    }
  }
  ADD_FAILURE() << "the filter has no end";
  return kKill;
}

#if defined(__x86_64__)
constexpr std::uint32_t kArch = AUDIT_ARCH_X86_64;

std::uint32_t call(std::span<const sock_filter> program, int number, std::uint64_t first = 0,
                   std::uint32_t arch = kArch) {
  seccomp_data data{};
  data.nr = number;
  data.arch = arch;
  data.args[0] = first;
  return verdict(program, data);
}

TEST(Seccomp, DefaultFilter) {
  const std::span<const sock_filter> filter = builtInFilter();
  EXPECT_LE(filter.size(), static_cast<std::size_t>(BPF_MAXINSNS));
  for (const int number : {SYS_read, SYS_execve, SYS_mmap, SYS_socketpair, SYS_clone, SYS_ptrace,
                           SYS_setresuid, SYS_capset, SYS_chroot, SYS_mknod, SYS_io_setup}) {
    EXPECT_EQ(call(filter, number), kAllow) << number;
  }
  for (const int number :
       {SYS_mount, SYS_umount2, SYS_reboot, SYS_init_module, SYS_kexec_load, SYS_keyctl, SYS_bpf,
        SYS_setns, SYS_unshare, SYS_open_by_handle_at, SYS_swapon, SYS_io_uring_setup,
        SYS_userfaultfd, SYS_perf_event_open, SYS_clock_settime, SYS_sethostname, SYS_syslog}) {
    EXPECT_EQ(call(filter, number), refuse(EPERM)) << number;
  }
  EXPECT_EQ(call(filter, SYS_clone3), refuse(ENOSYS));
  EXPECT_EQ(call(filter, 5000), refuse(ENOSYS));
}

TEST(Seccomp, DefaultFilterLooksAtArguments) {
  const std::span<const sock_filter> filter = builtInFilter();
  EXPECT_EQ(call(filter, SYS_clone, CLONE_VM | CLONE_THREAD), kAllow);
  EXPECT_EQ(call(filter, SYS_clone, CLONE_NEWUSER | CLONE_VM), refuse(EPERM));
  EXPECT_EQ(call(filter, SYS_clone, CLONE_NEWNET), refuse(EPERM));
  EXPECT_EQ(call(filter, SYS_socket, 2), kAllow);
  EXPECT_EQ(call(filter, SYS_socket, 40), refuse(EPERM));
  EXPECT_EQ(call(filter, SYS_personality, 0), kAllow);
  EXPECT_EQ(call(filter, SYS_personality, 0x0040000), refuse(ENOSYS));  // ADDR_NO_RANDOMIZE
}

TEST(Seccomp, DefaultFilterIsTheSameForThe32BitCalls) {
  constexpr int kMountOfI386 = 21;
  constexpr int kReadOfI386 = 3;
  EXPECT_EQ(call(builtInFilter(), kMountOfI386, 0, AUDIT_ARCH_I386), refuse(EPERM));
  EXPECT_EQ(call(builtInFilter(), kReadOfI386, 0, AUDIT_ARCH_I386), kAllow);
  EXPECT_EQ(call(builtInFilter(), SYS_read, 0, AUDIT_ARCH_AARCH64), refuse(ENOSYS));
  constexpr int kX32 = 0x40000000;
  EXPECT_EQ(call(builtInFilter(), SYS_mount | kX32), refuse(ENOSYS));
}

TEST(Seccomp, CapabilitiesBringTheirCalls) {
  const FilterProgram filter = makeDefaultFilter(1ULL << CAP_SYS_ADMIN);
  EXPECT_EQ(call(filter, SYS_mount), kAllow);
  EXPECT_EQ(call(filter, SYS_clone, CLONE_NEWNET), kAllow);
  EXPECT_EQ(call(filter, SYS_clone3), kAllow);
  EXPECT_EQ(call(filter, SYS_reboot), refuse(EPERM));
  EXPECT_EQ(call(makeDefaultFilter(1ULL << CAP_SYS_TIME), SYS_clock_settime), kAllow);
}

std::optional<FilterProgram> ofApp(const std::string& mode, const std::string& value) {
  return appFilter(schema::Isolators::fromJson(parseJson(
                       R"([{"name":"os/linux/seccomp-)" + mode + R"(-set","value":)" + value + "}]",
                       "isolators")),
                   0);
}

TEST(Seccomp, RetainSet) {
  const auto filter = ofApp("retain", R"({"set":["read","@systemd/network-io"]})");
  ASSERT_TRUE(filter);
  for (const int number : {SYS_read, SYS_connect, SYS_execve, SYS_exit_group})
    EXPECT_EQ(call(*filter, number), kAllow) << number;
  EXPECT_EQ(call(*filter, SYS_write), kKill);
  EXPECT_EQ(call(*ofApp("retain", R"({"set":["read"],"errno":"ENOTSUP"})"), SYS_write),
            refuse(EOPNOTSUPP));
}

TEST(Seccomp, RemoveSet) {
  const auto filter = ofApp("remove", R"({"set":["reboot","@systemd/clock"],"errno":"EPERM"})");
  ASSERT_TRUE(filter);
  EXPECT_EQ(call(*filter, SYS_reboot), refuse(EPERM));
  EXPECT_EQ(call(*filter, SYS_clock_settime), refuse(EPERM));
  EXPECT_EQ(call(*filter, SYS_mount), kAllow);
  EXPECT_EQ(call(*ofApp("remove", R"({"set":["reboot"]})"), SYS_reboot), kKill);
}

TEST(Seccomp, SetsOfOthers) {
  EXPECT_FALSE(ofApp("retain", R"({"set":["read","@appc.io/all"]})"));
  const auto empty = ofApp("remove", R"({"set":["read","@appc.io/empty"]})");
  ASSERT_TRUE(empty);
  EXPECT_EQ(call(*empty, SYS_read), kAllow);
  EXPECT_EQ(call(*empty, SYS_mount), refuse(EPERM));
  for (const char* name : {"@rkt/default-whitelist", "@docker/default-whitelist"}) {
    const auto white = ofApp("retain", std::string(R"({"set":[")") + name + R"("]})");
    EXPECT_EQ(call(*white, SYS_clone), kAllow);
    EXPECT_EQ(call(*white, SYS_mount), kKill);
  }
  const auto black = ofApp("remove", R"({"set":["@rkt/default-blacklist"]})");
  EXPECT_EQ(call(*black, SYS_mount), kKill);
  EXPECT_EQ(call(*black, SYS_read), kAllow);
}
#endif

TEST(Seccomp, WhatDoesNotExistIsRefused) {
  const auto message = [](const std::string& value) {
    return messageOf([&] {
      appFilter(schema::Isolators::fromJson(parseJson(
                    R"([{"name":"os/linux/seccomp-remove-set","value":)" + value + "}]", "list")),
                0);
    });
  };
  EXPECT_EQ(message(R"({"set":["nosuchcall"]})"),
            "os/linux/seccomp-remove-set: there is no system call \"nosuchcall\"");
  EXPECT_EQ(message(R"({"set":["@systemd/none"]})"),
            "os/linux/seccomp-remove-set: there is no set of system calls \"@systemd/none\"");
  EXPECT_EQ(message(R"({"set":["reboot"],"errno":"ENONE"})"),
            "os/linux/seccomp-remove-set: there is no error \"ENONE\"");
}

TEST(Seccomp, SetsHaveKnownCallsOnly) {
  EXPECT_FALSE(syscallSet("@systemd/"));
  EXPECT_FALSE(syscallSet("read"));
  for (const char* name : {"clock", "mount", "network-io", "obsolete", "privileged", "process",
                           "raw-io", "default-whitelist", "system-service"}) {
    const auto calls = syscallSet(std::string("@systemd/") + name);
    ASSERT_TRUE(calls) << name;
    for (const std::string& call : *calls)
      EXPECT_EQ(call.find('@'), std::string::npos) << call;
  }
  // What is refused by default is nothing that is allowed.
  const std::set<std::string> refused = privilegedSyscalls();
  for (const std::string& call : ordinarySyscalls())
    EXPECT_FALSE(refused.contains(call)) << call;
}

TEST(Seccomp, ErrorNumbers) {
  EXPECT_EQ(errorNumber("EPERM"), EPERM);
  EXPECT_EQ(errorNumber("EOPNOTSUPP"), EOPNOTSUPP);
  EXPECT_EQ(errorNumber("EWOULDBLOCK"), EAGAIN);
  EXPECT_EQ(errorNumber("EHWPOISON"), EHWPOISON);
  EXPECT_EQ(errorNumber("0"), std::nullopt);
}

}  // namespace
}  // namespace actool::run::native
