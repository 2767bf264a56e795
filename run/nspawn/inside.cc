#include "run/nspawn/inside.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>

#include "core/base/error.h"
#include "core/base/process.h"
#include "core/base/strings.h"
#include "run/executor/child.h"
#include "run/native/app.h"
#include "run/native/environment.h"
#include "run/native/namespaces.h"
#include "run/native/options.h"
#include "run/native/plan.h"
#include "run/native/signals.h"
#include "run/native/supervisor.h"
#include "run/native/users.h"
#include "run/nspawn/command.h"

namespace actool::run::nspawn {
namespace {

using executor::AppStep;

constexpr AppStep kSteps[] = {AppStep::preStart, AppStep::main, AppStep::postStop};

const std::vector<std::string>& programOf(const native::AppPlan& app, std::string_view step) {
  if (step == name(AppStep::preStart)) return app.preStart;
  if (step == name(AppStep::postStop)) return app.postStop;
  return app.app.exec;
}

// In the machine's root, as the app.
void becomeApp(const native::PodPlan& plan, const native::AppPlan& app, std::string_view step) {
  if (::setsid() < 0) throwErrno("starting a session");
  const UniqueFd root = openFile("/", O_PATH | O_DIRECTORY);
  const native::Identity identity =
      native::resolveIdentity(root.get(), app.app.user, app.app.group);
  const char* term = plan.options.interactive ? ::getenv("TERM") : nullptr;
  native::becomeProgram(
      app, identity,
      native::composeEnvironment(app.name, app.app, identity, term != nullptr ? term : ""),
      programOf(app, step));
}

// Reaps until the program with that PID has ended. Signals of the machine's own processes are not
// for us to pass on: only the outside has no PID here.
int waitFor(pid_t program, int signals) {
  while (true) {
    std::array<pollfd, 2> waiting{{{signals, POLLIN, 0}, {kLifeLineFd, POLLIN, 0}}};
    if (::poll(waiting.data(), waiting.size(), -1) < 0 && errno != EINTR) {
      throwErrno("waiting for the app");
    }
    if (waiting[1].revents != 0) return 128 + SIGKILL;  // what is left dies with us
    signalfd_siginfo info{};
    while (::read(signals, &info, sizeof info) == sizeof info) {
      const int signal = static_cast<int>(info.ssi_signo);
      if (signal != SIGCHLD && info.ssi_pid == 0) ::kill(program, signal);
    }
    int status = 0;
    while (const pid_t pid = ::waitpid(-1, &status, WNOHANG)) {
      if (pid < 0) break;
      if (pid != program) continue;
      return ExitStatus{WIFSIGNALED(status),
                        WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status)}
          .shellCode();
    }
  }
}

}  // namespace

std::string_view name(AppStep step) {
  switch (step) {
    case AppStep::preStart:
      return "pre-start";
    case AppStep::main:
      return "main";
    case AppStep::postStop:
      return "post-stop";
  }
  throw Error("unknown step");
}

int insideEntry(const std::vector<std::string>& arguments) {
  const auto known = [&](AppStep step) { return arguments.at(1) == name(step); };
  if (arguments.size() < 2 || std::none_of(std::begin(kSteps), std::end(kSteps), known)) {
    throw UsageError("an app's name and a step are missing");
  }
  const UniqueFd signals = native::receiveSignals(native::kForwardedSignals, {SIGCHLD});

  const native::PodPlan plan =
      native::makePlan(native::parseRunOptions({arguments.begin() + 2, arguments.end()}),
                       PodLayout(Path(kInsideDir) / "pod"));
  const auto app =
      std::find_if(plan.apps.begin(), plan.apps.end(),
                   [&](const native::AppPlan& one) { return one.name.str() == arguments[0]; });
  if (app == plan.apps.end()) throw Error("the pod has no app \"" + printable(arguments[0]) + "\"");
  for (const char* part : {"/bin", "/pod"}) {
    const std::string mounted = kInsideDir + std::string(part);
    if (::umount2(mounted.c_str(), MNT_DETACH) != 0) throwErrno("unmounting " + mounted);
  }
  const pid_t program = withContext(app->shown(), [&] {
    return executor::startChild(0, [&] { becomeApp(plan, *app, arguments[1]); });
  });
  return waitFor(program, signals.get());
}

}  // namespace actool::run::nspawn
