#include "run/native/namespaces.h"

#include <fcntl.h>
#include <linux/keyctl.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstring>

#include "core/base/error.h"
#include "core/base/own_root.h"

namespace actool::run::native {

pid_t cloneProcess(std::uint64_t flags, UniqueFd* pidfd) {
  clone_args arguments{};
  int descriptor = -1;
  arguments.flags = flags;
  if (pidfd != nullptr) {
    arguments.flags |= CLONE_PIDFD;
    arguments.pidfd = reinterpret_cast<std::uintptr_t>(&descriptor);
  }
  arguments.exit_signal = SIGCHLD;
  const auto pid = static_cast<pid_t>(::syscall(SYS_clone3, &arguments, sizeof arguments));
  if (pid < 0) {
    if (errno == EPERM) {
      throw Error("starting a process in new namespaces: not permitted", whyNoUserNamespace(EPERM));
    }
    throwErrno("starting a process in new namespaces");
  }
  if (pid > 0 && pidfd != nullptr) pidfd->reset(descriptor);
  return pid;
}

Processors::Processors() : known_(::sched_getaffinity(0, sizeof all_, &all_) == 0) {}

void Processors::beginElsewhere(pid_t child) const {
  const int own = ::sched_getcpu();
  if (!known_ || own < 0) return;
  cpu_set_t others = all_;
  CPU_CLR(static_cast<unsigned>(own), &others);
  if (CPU_COUNT(&others) > 0) ::sched_setaffinity(child, sizeof others, &others);
}

void Processors::restore() const {
  if (known_) ::sched_setaffinity(0, sizeof all_, &all_);
}

// By number: glibc 2.36 declares its wrappers without C linkage.
UniqueFd openProcess(pid_t pid) {
  UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!process && errno != ESRCH) throwErrno("opening process " + std::to_string(pid));
  return process;
}

bool signalProcess(int pidfd, int signal) {
  if (::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0) == 0) return true;
  if (errno != ESRCH) throwErrno("sending a signal");
  return false;
}

void setHostName(const std::string& name) {
  if (::sethostname(name.data(), name.size()) != 0) throwErrno("setting the host name");
}

namespace {

struct NewNetwork {
  int fd = -1;
  int error = 0;
};

int openOwnNetwork(void* result) {
  auto* network = static_cast<NewNetwork*>(result);
  network->fd = ::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  if (network->fd < 0) network->error = errno;
  return 0;
}

}  // namespace

// Not by unshare(2): who is not root on the host could not come back to the host's. So a child
// opens it that shares memory and descriptors, while this process stands still, as with vfork(2).
UniqueFd makeNetworkNamespace() {
  constexpr std::size_t kStack = 16 << 10;
  alignas(16) std::array<std::byte, kStack> stack;
  NewNetwork network;
  const pid_t pid =
      ::clone(&openOwnNetwork, stack.data() + stack.size(),
              CLONE_NEWNET | CLONE_VM | CLONE_VFORK | CLONE_FILES | SIGCHLD, &network);
  if (pid < 0) throwErrno("making a network namespace");
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  if (network.fd < 0) throw SystemError(network.error, "opening a network namespace");
  return UniqueFd(network.fd);
}

void enterNetworkNamespace(int network) {
  if (::setns(network, CLONE_NEWNET) != 0) throwErrno("entering the pod's network");
}

void bringLoopbackUp() {
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) throwErrno("opening a socket for the loopback interface");
  ifreq request{};
  std::strncpy(request.ifr_name, "lo", sizeof request.ifr_name - 1);
  request.ifr_flags = IFF_UP;
  if (::ioctl(socket.get(), SIOCSIFFLAGS, &request) != 0) {
    throwErrno("bringing the loopback interface up");
  }
}

void leaveSessionKeyring() {
  if (::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr) < 0 && errno != ENOSYS) {
    throwErrno("making a session keyring");
  }
}

}  // namespace actool::run::native
