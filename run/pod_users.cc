#include "run/pod_users.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <limits>

#include "core/base/error.h"
#include "core/base/fs.h"
#include "core/base/own_root.h"
#include "core/base/strings.h"
#include "run/networks.h"

namespace actool::run {
namespace {

constexpr std::size_t kMaxPidText = 32;

}  // namespace

void becomeRootOfPods(const PodOptions& options) {
  if (::geteuid() == 0) return;
  if (options.privateUsers) {
    throw UsageError("--private-users is for root",
                     "a pod that is not root's has a user namespace without it");
  }
  const bool itsOwn = options.net == kUserNetwork;
  if (!options.netNamespace.empty() || (hasContainedNetworks(options.net) && !itsOwn)) {
    throw UsageError(
        fmt::format("a pod that is not root's can't be in {}",
                    options.netNamespace.empty() ? "the network " + printable(options.net)
                                                 : "a network namespace that is there already"),
        "give --net=default, none or host, or run it as root");
  }
  withContext("a pod without root's rights", [] { becomeOwnRoot(); });
}

UniqueFd usersOf(const PodLayout& pod) {
  if (::geteuid() == 0) return {};
  const auto text = tryReadFile(pod.pid(), kMaxPidText);
  const auto pid = text ? parseUint(trim(*text)) : std::nullopt;
  if (!pid || *pid < 2 || *pid > std::numeric_limits<pid_t>::max()) return {};
  return tryOpen(fmt::format("/proc/{}/ns/user", *pid), O_RDONLY);
}

void joinUsersOf(const PodLayout& pod) {
  const UniqueFd users = usersOf(pod);
  if (users && ::setns(users.get(), CLONE_NEWUSER) != 0) {
    throwErrno("entering the user namespace of the pod");
  }
}

}  // namespace actool::run
