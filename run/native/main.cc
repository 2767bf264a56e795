// The built-in stage1: one program whose name says which entry point it is.
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/base/fs.h"
#include "core/base/log.h"
#include "core/base/strings.h"
#include "run/native/enter.h"
#include "run/native/options.h"
#include "run/native/plan.h"
#include "run/native/pod.h"
#include "run/native/stop.h"
#include "run/pod_layout.h"

namespace actool::run::native {
namespace {

// Descriptors 0 to 2 are always something: a file opened later must not become an app's output.
void openStandardFiles() {
  int fd = -1;
  do {
    // It is to stay open over exec.
    fd = ::open("/dev/null", O_RDWR);  // NOLINT(android-cloexec-open)
  } while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd >= 0) ::close(fd);
}

// The lock stays open here, and comes into nothing that is executed from here.
void keepLock() {
  const char* text = ::getenv(kLockFdVariable);
  if (text == nullptr) return;
  const auto fd = parseUint(text);
  if (!fd || *fd <= STDERR_FILENO || *fd > 1 << 20 ||
      ::fcntl(static_cast<int>(*fd), F_SETFD, FD_CLOEXEC) != 0) {
    throw UsageError(std::string(kLockFdVariable) + " is \"" + printable(text) +
                     "\", which is not an open descriptor");
  }
}

int runEntry(const std::vector<std::string>& arguments) {
  const RunOptions options = parseRunOptions(arguments);
  log::setDebug(options.debug);
  keepLock();
  const PodLayout layout(".");
  const PodPlan plan = makePlan(options, layout);
  if (!plan.ignoredIsolators.empty()) {
    log::warn("isolators that are not applied: {}", join(plan.ignoredIsolators, ", "));
  }
  return runPod(plan, layout);
}

int dispatch(const std::string& entry, const std::vector<std::string>& arguments) {
  const PodLayout layout(".");
  if (entry == "run") return runEntry(arguments);
  if (entry == "enter") return enterApp(parseEnterOptions(arguments), layout);
  if (entry == "gc") {
    collectPod(parseGcOptions(arguments), layout);
    return 0;
  }
  if (entry == "stop") {
    stopPod(parseStopOptions(arguments), layout);
    return 0;
  }
  throw UsageError("\"" + printable(entry) + "\" is no entry point of a stage1",
                   "it is run as \"run\", \"enter\", \"gc\" or \"stop\"");
}

}  // namespace
}  // namespace actool::run::native

int main(int argc, char** argv) {
  using namespace actool;
  run::native::openStandardFiles();
  log::setProgram("stage1 native");
  try {
    const std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
    const std::string entry = argc > 0 ? Path(argv[0]).filename().string() : std::string();
    return run::native::dispatch(entry, arguments);
  } catch (const Error& error) {
    log::error("{}", error.what());
    return static_cast<int>(error.code());
  } catch (const std::bad_alloc&) {
    log::error("out of memory");
    return static_cast<int>(ExitCode::failure);
  }
}
