#include "run/executor/holder.h"

#include <linux/close_range.h>
#include <linux/sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <csignal>

#include "core/base/error.h"
#include "run/native/app.h"
#include "run/native/channel.h"
#include "run/native/namespaces.h"
#include "run/native/sysctl.h"

namespace actool::run::executor {
namespace {

constexpr int kParentFd = STDERR_FILENO + 1;

std::uint64_t namespacesOf(const native::RunOptions& options, std::uint64_t kinds) {
  if (options.hostIpc) kinds &= ~std::uint64_t{CLONE_NEWIPC};
  if (options.hostNetwork) kinds &= ~std::uint64_t{CLONE_NEWNET};
  return kinds;
}

void setUp(const native::PodPlan& plan, std::uint64_t kinds) {
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) throwErrno("binding the pod to its parent");
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) throwErrno("hiding the namespaces' holder");
  if (::setsid() < 0) throwErrno("starting a session");
  native::leaveSessionKeyring();
  if ((kinds & CLONE_NEWUTS) != 0) native::setHostName(plan.hostname);
  if ((kinds & CLONE_NEWNET) != 0) native::bringLoopbackUp();
  native::setSysctls(native::sysctlsOf(plan.sysctls, kinds));
}

// Until its parent goes, whose end of the channel is then closed.
[[noreturn]] void hold(const native::PodPlan& plan, std::uint64_t kinds, native::Channel parent) {
  try {
    // The pod's lock is among what goes: it is held outside.
    parent.moveTo(kParentFd);
    if (::close_range(kParentFd + 1, UINT_MAX, 0) != 0) throwErrno("closing descriptors");
    setUp(plan, kinds);
    parent.send(native::MessageKind::ready, "");
    // Children that are left to PID 1 are not to be waited for.
    ::signal(SIGCHLD, SIG_IGN);
    while (parent.receive()) {
    }
  } catch (const Error& error) {
    parent.send(native::MessageKind::failure, error.what());
  }
  ::_exit(native::kFailedCode);
}

}  // namespace

NamespaceHolder::NamespaceHolder(const native::PodPlan& plan, std::uint64_t kinds) {
  kinds = namespacesOf(plan.options, kinds);
  auto [ours, theirs] = native::Channel::makePair();
  pid_ = native::cloneProcess(kinds);
  if (pid_ == 0) hold(plan, kinds, std::move(theirs));
  theirs.close();
  const auto answer = ours.receive();
  if (answer && answer->kind == native::MessageKind::ready) {
    channel_ = std::move(ours);
    return;
  }
  ::waitpid(pid_, nullptr, 0);
  throw Error(answer ? answer->payload : "the holder of the pod's namespaces ended at once");
}

NamespaceHolder::~NamespaceHolder() {
  channel_.reset();  // which it ends by
  // PID 1 is gone when all that was in its namespace is, orphans that this process adopted
  // included.
  pid_t pid = 0;
  do {
    pid = ::waitpid(-1, nullptr, 0);
  } while (pid != pid_ && (pid > 0 || errno == EINTR));
}

}  // namespace actool::run::executor
