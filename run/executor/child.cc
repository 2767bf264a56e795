#include "run/executor/child.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/base/fs.h"
#include "core/base/process.h"
#include "run/native/app.h"
#include "run/native/channel.h"
#include "run/native/namespaces.h"

namespace actool::run::executor {

pid_t startChild(std::uint64_t flags, const std::function<void()>& work) {
  auto [ours, theirs] = native::Channel::makePair();
  const pid_t pid = native::cloneProcess(flags);
  if (pid == 0) {
    ours.close();
    try {
      native::resetSignals();
      work();
    } catch (const Error& error) {
      theirs.send(native::MessageKind::failure, error.what());
    }
    ::_exit(native::kFailedCode);
  }
  theirs.close();
  // Its end is closed by the exec.
  const auto failure = ours.receive();
  if (!failure) return pid;
  ::waitpid(pid, nullptr, 0);
  throw Error(failure->payload);
}

void runTool(const std::vector<std::string>& argv, const std::string& what) {
  const UniqueFd null = openFile("/dev/null", O_RDONLY);
  SpawnOptions options;
  options.argv = argv;
  options.fds = {{0, null.get()}, {1, STDERR_FILENO}, {2, STDERR_FILENO}};
  const ExitStatus status = withContext(what, [&] { return Child::spawn(options).wait(); });
  if (!status.ok()) throw Error(what + ": " + argv.front() + " " + status.describe());
}

}  // namespace actool::run::executor
