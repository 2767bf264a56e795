// Namespaces and what belongs to one each: the host name and the loopback interface.
#pragma once

#include <sched.h>
#include <sys/types.h>

#include <cstdint>
#include <string>

#include "core/base/fd.h"

namespace actool::run::native {

// fork(2) into new namespaces (CLONE_NEW*). Zero in the child, whose process is a copy of this
// single-threaded one. `pidfd`, when not null, gets a descriptor of the child in the parent.
pid_t cloneProcess(std::uint64_t flags, UniqueFd* pidfd = nullptr);

// The processors that this process may run on when it is made. For its children to come: each of
// them has a copy.
class Processors {
 public:
  Processors();
  // Has the kernel begin a new child on another one than this process's, where there is one, and
  // keep it there until that calls restore(). Left alone a child is often queued behind its parent,
  // and waits for as long as that works. A hint.
  void beginElsewhere(pid_t child) const;
  // For this process, and those that it makes: all of them again.
  void restore() const;

 private:
  cpu_set_t all_;
  bool known_;
};

// pidfd_open(2): no descriptor when there is no such process.
UniqueFd openProcess(pid_t pid);
// pidfd_send_signal(2). False when the process is gone.
bool signalProcess(int pidfd, int signal);

void setHostName(const std::string& name);

// A new network namespace, which this process is not in. It lives as long as the descriptor, or
// somebody in it.
UniqueFd makeNetworkNamespace();
// setns(2) of one.
void enterNetworkNamespace(int network);

// Brings "lo" up in this network namespace (spec/ace.md, Network Setup).
void bringLoopbackUp();

// Keys of whoever started the pod stay out of it: a new, empty session keyring. Kernels without
// keyrings have nothing to keep out.
void leaveSessionKeyring();

}  // namespace actool::run::native
