#include "run/native/stop.h"

#include <fcntl.h>

#include <csignal>
#include <limits>
#include <optional>
#include <string>

#include "core/base/error.h"
#include "core/base/fs.h"
#include "core/base/lock.h"
#include "core/base/strings.h"
#include "run/native/enter.h"
#include "run/native/isolation.h"
#include "run/native/namespaces.h"
#include "run/native/network.h"

namespace actool::run::native {
namespace {

constexpr std::size_t kMaxPidFile = 32;

// The pod's first process; null when there is none (any more).
UniqueFd openSupervisor(const PodLayout& layout) {
  const std::optional<std::string> text = tryReadFile(layout.pid(), kMaxPidFile);
  if (!text) return {};
  const auto pid = parseUint(trim(*text));
  if (!pid || *pid < 2 || *pid > std::numeric_limits<pid_t>::max()) {
    throw Error("the pod's pid file has no process ID in it: \"" + printable(*text) + "\"");
  }
  UniqueFd process = openProcess(static_cast<pid_t>(*pid));
  if (!process) return {};
  // After the pidfd is open: the process that it names cannot be replaced by another.
  if (innerPidOf(static_cast<pid_t>(*pid)) != 1) return {};
  return process;
}

}  // namespace

Path requirePod(const Uuid& uuid, const PodLayout& layout) {
  std::error_code failure;
  Path here = std::filesystem::canonical(layout.dir(), failure);
  if (failure) throw SystemError(failure.value(), "finding the pod's directory");
  if (here.filename() != uuid.str()) {
    throw Error("the current directory is not that of pod " + uuid.str());
  }
  return here;
}

void stopPod(const StopOptions& options, const PodLayout& layout) {
  withContext("stopping pod " + options.uuid.str(), [&] {
    requirePod(options.uuid, layout);
    const UniqueFd process = openSupervisor(layout);
    // The process outside of the pod holds the lock as long as the pod's first process lives, so
    // a lock that is held now says that the PID has not become another's.
    if (!process || FileLock::tryAcquire(layout.dir(), LockMode::shared)) {
      throw Error("it is not running");
    }
    signalProcess(process.get(), options.force ? SIGKILL : SIGTERM);
  });
}

void collectPod(const GcOptions& options, const PodLayout& layout) {
  withContext("collecting pod " + options.uuid.str(), [&] {
    requirePod(options.uuid, layout);
    if (!actool::exists(layout.manifest())) throw NotFoundError("it has no manifest");
    removeIsolation(layout, options.uuid);
    leaveNetworksOf(layout, options.uuid, options.localConfig);
  });
}

}  // namespace actool::run::native
