#include "run/pod_wait.h"

#include <fmt/format.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <thread>
#include <utility>

#include "core/base/error.h"
#include "core/base/strings.h"

namespace actool::run {
namespace {

// Between the start of a pod and its PID there are some milliseconds.
constexpr auto kPidPatience = std::chrono::seconds(5);
constexpr auto kWaitInterval = std::chrono::milliseconds(20);

}  // namespace

Pod foundAgain(const PodsLayout& pods, const Pod& pod) {
  return Pod::find(pods, pod.uuid().str());
}

Pod waitReady(const PodsLayout& pods, Pod pod, std::optional<std::chrono::milliseconds> timeout) {
  const auto start = std::chrono::steady_clock::now();
  while (!pod.pid()) {
    const PodState state = pod.state();
    if (state != PodState::preparing && state != PodState::prepared && state != PodState::running &&
        state != PodState::embryo) {
      throw Error(fmt::format("pod {} will not get ready: it is {}", pod.uuid().str(),
                              podStateName(state)));
    }
    if (timeout && std::chrono::steady_clock::now() - start >= *timeout) {
      throw Error(fmt::format("pod {} did not get ready in time", pod.uuid().str()));
    }
    std::this_thread::sleep_for(kWaitInterval);
    pod = foundAgain(pods, pod);
  }
  return pod;
}

Pod findRunning(const PodsLayout& pods, std::string_view uuidOrPrefix) {
  Pod pod = Pod::find(pods, uuidOrPrefix);
  if (pod.state() != PodState::running) {
    throw Error(fmt::format("pod {} is not running, it is {}", pod.uuid().str(),
                            podStateName(pod.state())));
  }
  return waitReady(pods, std::move(pod), kPidPatience);
}

UniqueFd openPodProcess(const Pod& pod) {
  const std::optional<pid_t> pid = pod.pid();
  if (!pid) {
    throw Error(fmt::format("pod {} has not written its PID yet", pod.uuid().str()),
                "try again, or wait with actool status --wait-ready");
  }
  UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, *pid, 0)));
  if (!process && errno != ESRCH) {
    throwErrno(fmt::format("opening process {} of pod {}", *pid, pod.uuid().str()));
  }
  // A pod that still holds its lock says that the descriptor is of its process, and of no other
  // that got the number.
  return pod.state() == PodState::running ? std::move(process) : UniqueFd();
}

const schema::RuntimeApp& chooseApp(const schema::PodManifest& manifest, std::string_view name) {
  std::vector<std::string> names;
  for (const schema::RuntimeApp& app : manifest.apps) {
    if (app.name.str() == name) return app;
    names.push_back(app.name.str());
  }
  if (!name.empty()) {
    throw NotFoundError(fmt::format("the pod has no app '{}'", printable(name)),
                        "its apps are " + join(names, ", "));
  }
  if (manifest.apps.size() != 1) {
    throw UsageError(fmt::format("the pod has {} apps", manifest.apps.size()),
                     "choose one with --app: " + join(names, ", "));
  }
  return manifest.apps.front();
}

}  // namespace actool::run
