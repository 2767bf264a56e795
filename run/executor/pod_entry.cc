#include "run/executor/pod_entry.h"

#include <fcntl.h>

#include <csignal>
#include <limits>
#include <optional>

#include "core/base/error.h"
#include "core/base/fs.h"
#include "core/base/id_map.h"
#include "core/base/lock.h"
#include "core/base/log.h"
#include "core/base/strings.h"
#include "run/native/namespaces.h"
#include "run/native/options.h"
#include "run/native/stage1_main.h"
#include "run/native/stop.h"

namespace actool::run::executor {
namespace {

constexpr std::size_t kMaxPodPid = 32;
constexpr std::size_t kMaxChildrenFile = 1 << 20;
// Each round ends what was there at its start; a pod that forks faster than that stays ahead of
// any number of rounds.
constexpr int kMostRounds = 100;

std::optional<pid_t> parsePid(std::string_view text) {
  const auto pid = parseUint(trim(text));
  if (!pid || *pid < 2 || *pid > std::numeric_limits<pid_t>::max()) return std::nullopt;
  return static_cast<pid_t>(*pid);
}

// None of a process that has ended: its files in /proc are gone, or fail with ESRCH for a while.
std::vector<pid_t> childrenOf(pid_t pid) {
  std::vector<pid_t> found;
  const Path tasks = "/proc/" + std::to_string(pid) + "/task";
  try {
    for (const std::string& task : listDir(tasks)) {
      const auto children = tryReadFile(tasks / task / "children", kMaxChildrenFile);
      if (!children) continue;
      for (const std::string_view word : split(*children, ' ')) {
        if (const auto child = parsePid(word)) found.push_back(*child);
      }
    }
  } catch (const SystemError& error) {
    if (error.errnum() != ESRCH) throw;
  }
  return found;
}

// The descendants of `pid`, parents before children. A process that ends meanwhile is left out.
void addDescendants(pid_t pid, std::vector<pid_t>& found) {
  for (const pid_t child : childrenOf(pid)) {
    found.push_back(child);
    addDescendants(child, found);
  }
}

void killDescendants(pid_t pid) {
  for (int round = 0; round < kMostRounds; ++round) {
    std::vector<pid_t> found;
    addDescendants(pid, found);
    if (found.empty()) return;
    for (const pid_t one : found)
      ::kill(one, SIGKILL);
  }
}

constexpr const char* kNativeCan = "the stage1 \"native\" can";

void refuseNetworks(const native::PodPlan& plan) {
  if (plan.options.networks.empty()) return;
  throw UsageError("this executor has no networks but none and host", kNativeCan);
}

void refuseWhatIsOnlyNative(const native::PodPlan& plan) {
  const char* hint = kNativeCan;
  if (inUserNamespace()) throw UsageError("this executor needs the host's root", hint);
  if (plan.options.users) throw UsageError("this executor has no user namespaces", hint);
  if (plan.options.changing) throw UsageError("this executor has no pods that change", hint);
  if (!plan.options.metadataToken.empty()) {
    throw UsageError("this executor has no metadata service", hint);
  }
  for (const native::AppPlan& app : plan.apps) {
    for (const native::StdioMode mode : app.stdio) {
      if (mode == native::StdioMode::inherit) continue;
      throw UsageError(app.shown() + ": this executor leaves standard streams as they are", hint);
    }
  }
}

}  // namespace

int runEntry(const std::vector<std::string>& arguments,
             const std::function<int(const native::PodPlan&, const PodLayout&)>& work) {
  const native::RunOptions options = native::parseRunOptions(arguments);
  log::setDebug(options.debug);
  native::keepLock();
  const PodLayout layout(native::requirePod(options.uuid, PodLayout(".")));
  const native::PodPlan plan = native::makePlan(options, layout);
  refuseWhatIsOnlyNative(plan);
  return work(plan, layout);
}

int runEntry(const std::vector<std::string>& arguments, const native::IsolatorVerdict& verdict,
             const std::function<int(const native::PodPlan&, const PodLayout&,
                                     const native::Isolation&)>& work) {
  return runEntry(arguments, [&](const native::PodPlan& plan, const PodLayout& layout) {
    refuseNetworks(plan);
    makeDirs(layout.statusDir());
    native::Isolation isolation(plan, layout, verdict);
    try {
      const int code = work(plan, layout, isolation);
      isolation.remove();
      return code;
    } catch (const Error&) {
      isolation.remove();
      throw;
    }
  });
}

void applyIsolation(const native::AppIsolation& isolation) {
  native::joinCgroups(isolation);
  if (!isolation.oomScoreAdj) return;
  const UniqueFd file = openFile("/proc/self/oom_score_adj", O_WRONLY);
  writeAll(file.get(), std::to_string(*isolation.oomScoreAdj), "oom_score_adj");
}

int gcEntry(const std::vector<std::string>& arguments) {
  native::collectPod(native::parseGcOptions(arguments), PodLayout("."));
  return 0;
}

native::AppPlan runningApp(const native::EnterOptions& options, const PodLayout& layout) {
  // What is left alone here is checked when the pod runs: the UUID and the host name.
  const native::RunOptions run(*Uuid::parse("00000000-0000-0000-0000-000000000000"));
  native::AppPlan app = native::loadAppPlan(options.app, run, layout);
  if (actool::exists(layout.statusFile(app.name))) throw NotFoundError(app.shown() + " has ended");
  return app;
}

int stopEntry(const std::vector<std::string>& arguments) {
  const native::StopOptions options = native::parseStopOptions(arguments);
  withContext("stopping pod " + options.uuid.str(), [&] {
    const PodLayout layout(native::requirePod(options.uuid, PodLayout(".")));
    const auto text = tryReadFile(layout.pid(), kMaxPodPid);
    const auto pid = text ? parsePid(*text) : std::nullopt;
    const UniqueFd process = pid ? native::openProcess(*pid) : UniqueFd();
    // That process holds the lock as long as it lives: a lock that is held now says that the PID,
    // whose descriptor is open already, has not become another's.
    if (!process || FileLock::tryAcquire(layout.dir(), LockMode::shared)) {
      throw Error("it is not running");
    }
    if (options.force) killDescendants(*pid);
    native::signalProcess(process.get(), options.force ? SIGKILL : SIGTERM);
  });
  return 0;
}

}  // namespace actool::run::executor
