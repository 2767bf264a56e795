// Stage1s whose apps are run by something else than ourselves: each app is one process to start, to
// signal and to wait for. What they share is the life of a pod.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <vector>

#include "run/native/plan.h"
#include "run/native/terminal.h"
#include "run/pod_layout.h"

namespace actool::run::executor {

// The programs of an app, in the order in which they run (spec/ace.md, Pod Events).
enum class AppStep { preStart, main, postStop };

class AppDriver {
 public:
  AppDriver() = default;
  AppDriver(const AppDriver&) = delete;
  AppDriver& operator=(const AppDriver&) = delete;
  virtual ~AppDriver() = default;

  // Starts `argv` as the app: with its root, user, environment, limits and our standard streams.
  // Returns a process that ends with the program and has its exit status, which this process can
  // wait for. Throws Error.
  virtual pid_t start(const native::AppPlan& app, AppStep step,
                      const std::vector<std::string>& argv) = 0;
  // To the program that start() returned `pid` for. That it has just ended is no error.
  virtual void signal(pid_t pid, int signal) = 0;
  // The program has ended and was waited for.
  virtual void ended(const native::AppPlan& app, AppStep step) = 0;
  // The terminal of an interactive pod that ours is joined to; null when there is none (yet). Not
  // given away, and not to be asked for again once ended() was called for its app.
  virtual native::Terminal* terminal() { return nullptr; }
};

// Runs all apps of the pod to their end: writes `pid` (this process) and the apps' status files,
// passes signals on, and returns the pod's exit code, by the rules of the native stage1: an app
// that fails ends the pod, the others get SIGTERM and ten seconds later SIGKILL. A pre-start
// handler that fails keeps its app from running; a post-stop handler runs however the app ended.
// Throws Error when an app could not be started, after the others have ended.
int runApps(const native::PodPlan& plan, const PodLayout& layout, AppDriver& driver);

}  // namespace actool::run::executor
