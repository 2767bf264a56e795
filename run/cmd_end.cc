// stop, rm and gc: the end of pods.
#include <fmt/format.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <optional>

#include "core/base/clock.h"
#include "core/base/duration.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/own_root.h"
#include "core/cli/table.h"
#include "run/commands.h"
#include "run/first_error.h"
#include "run/garbage.h"
#include "run/pod.h"
#include "run/pod_wait.h"
#include "run/stage1.h"

namespace actool::run {
namespace {

struct PodArguments {
  std::vector<std::string> uuids;
  std::string uuidFile;
};

void addPodArguments(cli::Options& app, PodArguments& arguments) {
  app.add("UUID", arguments.uuids, "pods' UUIDs or the beginnings of them");
  app.add("--uuid-file", arguments.uuidFile, "read the UUID from a file");
}

std::vector<std::string> chosenUuids(const PodArguments& arguments) {
  if (arguments.uuids.empty() == arguments.uuidFile.empty()) {
    throw UsageError("which pods?", "give UUIDs, or --uuid-file=FILE");
  }
  if (!arguments.uuidFile.empty()) return {readUuidFile(arguments.uuidFile)};
  return arguments.uuids;
}

// For a stage1 without a stop entry point.
void signalPod(const Pod& pod, int signal) {
  const UniqueFd process = openPodProcess(pod);
  if (!process) return;
  if (::syscall(SYS_pidfd_send_signal, process.get(), signal, nullptr, 0) != 0 && errno != ESRCH) {
    throwErrno("signalling the process of pod " + pod.uuid().str());
  }
}

void stopPod(const Pod& pod, bool force) {
  const PodState state = pod.state();
  switch (state) {
    case PodState::running:
      break;
    case PodState::exited:
    case PodState::exitedGarbage:
    case PodState::exitedDeleting:
      log::info("pod {} has ended already", pod.uuid().str());
      return;
    default:
      throw Error(
          fmt::format("pod {} is not running, it is {}", pod.uuid().str(), podStateName(state)));
  }
  std::vector<std::string> arguments;
  if (force) arguments.emplace_back("--force");
  arguments.push_back(pod.uuid().str());
  std::optional<ExitStatus> status;
  try {
    status = withContext("stopping pod " + pod.uuid().str(),
                         [&] { return runEntryPoint(pod.layout(), kStage1Stop, arguments); });
  } catch (const Error&) {
    // One that is ending just now may have lost what its entry point needs: its namespaces.
    constexpr auto kMoment = std::chrono::seconds(1);
    if (!pod.waitUnlocked(kMoment)) throw;
    log::info("pod {} has ended already", pod.uuid().str());
    return;
  }
  if (!status) {
    signalPod(pod, force ? SIGKILL : SIGTERM);
  } else if (!status->ok()) {
    throw Error(
        fmt::format("stopping pod {}: the stage1's stop {}", pod.uuid().str(), status->describe()));
  }
  cli::print(pod.uuid().str() + "\n");
}

int stopPods(const cli::Globals& globals, const PodArguments& arguments, bool force) {
  FirstError errors;
  for (const std::string& uuid : chosenUuids(arguments))
    errors.attempt([&] { stopPod(Pod::find(podsOf(globals), uuid), force); });
  errors.rethrow();
  return 0;
}

int removePods(const cli::Globals& globals, const PodArguments& arguments) {
  becomeOwnRoot();
  FirstError errors;
  for (const std::string& uuid : chosenUuids(arguments)) {
    errors.attempt([&] {
      Pod pod = Pod::find(podsOf(globals), uuid);
      removePod(pod, globals);
      cli::print(pod.uuid().str() + "\n");
    });
  }
  errors.rethrow();
  return 0;
}

struct GcArguments {
  std::string gracePeriod = "30m";
  std::string expirePrepared = "24h";
  bool markOnly = false;
  bool allNamespaces = false;
};

int gcPods(const cli::Globals& globals, const GcArguments& arguments) {
  const GcOptions options{
      .gracePeriod = requireDuration(arguments.gracePeriod, "--grace-period"),
      .expirePrepared = requireDuration(arguments.expirePrepared, "--expire-prepared"),
      .markOnly = arguments.markOnly};
  const cas::StoreLayout store(globals.dir, globals.ns);
  becomeOwnRoot();
  FirstError errors;
  for (const NamespaceName& ns :
       arguments.allNamespaces ? namespacesOf(store) : std::vector{globals.ns}) {
    errors.attempt([&] {
      const PodsLayout pods(store.in(ns).podsDir());
      for (const Uuid& uuid : collectGarbage(pods, options, globals, systemClock()))
        cli::print(uuid.str() + "\n");
    });
  }
  errors.rethrow();
  return 0;
}

}  // namespace

cli::Subcommand stopCommand() {
  return {
      .name = "stop",
      .summary = "Asks running pods to end",
      .details =
          "Asks each pod's stage1 to end it: its apps get SIGTERM, and with --force SIGKILL. "
          "Prints "
          "the UUIDs of the pods that were asked, and does not wait for them: `actool status "
          "--wait` does.\n\nExample:\n"
          "  actool stop 5bc080ca",
      .setup =
          [](cli::Options& app, cli::Globals& globals) {
            const auto arguments = std::make_shared<PodArguments>();
            const auto force = std::make_shared<bool>(false);
            addPodArguments(app, *arguments);
            app.flag("--force", *force, "end it at once");
            return [arguments, force, &globals] { return stopPods(globals, *arguments, *force); };
          },
  };
}

cli::Subcommand rmCommand() {
  return {
      .name = "rm",
      .summary = "Removes pods that do not run",
      .details =
          "Removes each pod at once, without a grace period. A running pod is not removed, exit "
          "code 250. Prints the UUIDs of the removed pods.\n\nExample:\n"
          "  actool rm --uuid-file=/run/web.uuid",
      .setup =
          [](cli::Options& app, cli::Globals& globals) {
            const auto arguments = std::make_shared<PodArguments>();
            addPodArguments(app, *arguments);
            return [arguments, &globals] { return removePods(globals, *arguments); };
          },
  };
}

cli::Subcommand gcCommand() {
  return {
      .name = "gc",
      .summary = "Removes pods that have ended",
      .details =
          "Marks the pods that have ended, and removes those that were marked longer ago than the "
          "grace period, along with failed preparations. To be run from a timer. Prints the UUIDs "
          "of the removed pods.\n\nExample:\n"
          "  actool gc --grace-period=0s",
      .setup =
          [](cli::Options& app, cli::Globals& globals) {
            const auto arguments = std::make_shared<GcArguments>();
            app.add("--grace-period", arguments->gracePeriod, "how long ended pods stay (30m)");
            app.add("--expire-prepared", arguments->expirePrepared,
                    "how long prepared pods wait to be run (24h)");
            app.flag("--all-namespaces", arguments->allNamespaces,
                     "the pods of every namespace, not only of --namespace");
            app.flag("--mark-only", arguments->markOnly, "mark ended pods, remove nothing");
            return [arguments, &globals] { return gcPods(globals, *arguments); };
          },
  };
}

}  // namespace actool::run
