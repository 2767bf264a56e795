#include "run/native/stage1_main.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <new>

#include "core/base/error.h"
#include "core/base/fs.h"
#include "core/base/log.h"
#include "core/base/process.h"
#include "core/base/strings.h"
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

int dispatch(const std::string& name, const std::vector<std::string>& arguments,
             const std::map<std::string, EntryPoint>& entries) {
  const auto entry = entries.find(name);
  if (entry != entries.end()) return entry->second(arguments);
  std::vector<std::string> known;
  known.reserve(entries.size());
  for (const auto& [one, function] : entries)
    known.push_back("\"" + one + "\"");
  throw UsageError("\"" + printable(name) + "\" is no entry point of a stage1",
                   "it is run as one of " + join(known, ", "));
}

}  // namespace

int stage1Main(int argc, char** argv, std::string_view stage1,
               const std::map<std::string, EntryPoint>& entries) {
  keepHeap();
  openStandardFiles();
  log::setProgram("stage1 " + std::string(stage1));
  try {
    const std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
    const std::string name = argc > 0 ? Path(argv[0]).filename().string() : std::string();
    return dispatch(name, arguments, entries);
  } catch (const Error& error) {
    log::error("{}", error.what());
    return static_cast<int>(error.code());
  } catch (const std::bad_alloc&) {
    log::error("out of memory");
    return static_cast<int>(ExitCode::failure);
  }
}

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

}  // namespace actool::run::native
