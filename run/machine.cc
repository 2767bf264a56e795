#include "run/machine.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/base/fs.h"
#include "core/base/id_map.h"
#include "core/cli/find_tool.h"
#include "core/cli/tool.h"

extern "C" char** environ;

namespace actool::run {
namespace {

constexpr const char* kTool = "actool-machine";

// As sd_booted(3) has it, and with what machined is asked over.
bool systemdRuns() {
  return ::access("/run/systemd/system", F_OK) == 0 &&
         ::access("/run/dbus/system_bus_socket", F_OK) == 0;
}

// Between fork and exec: async-signal-safe calls only.
[[noreturn]] void becomeOrphan(char* const* argv, int null, bool quiet) {
  ::setsid();
  const pid_t pid = ::fork();
  if (pid != 0) ::_exit(pid < 0 ? 1 : 0);
  const bool set = ::dup2(null, STDIN_FILENO) >= 0 && ::dup2(null, STDOUT_FILENO) >= 0 &&
                   (!quiet || ::dup2(null, STDERR_FILENO) >= 0);
  if (set) ::execve(argv[0], argv, environ);
  ::_exit(127);
}

}  // namespace

void announceMachine(const Uuid& pod, const cli::Globals& globals) {
  // The others would have to ask an administrator, by polkit.
  if (!systemdRuns() || ::geteuid() != 0 || inUserNamespace()) return;
  if (cli::lookForTool(kTool).empty()) return;
  std::vector<std::string> words = cli::toolCommand(kTool, globals, {pod.str()});
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words)
    argv.push_back(word.data());
  argv.push_back(nullptr);
  const UniqueFd null = openFile("/dev/null", O_RDWR);
  const pid_t child = ::fork();
  if (child < 0) throwErrno("starting " + words.front());
  if (child == 0) becomeOrphan(argv.data(), null.get(), !globals.debug);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) throwErrno("waiting for " + words.front());
  }
}

}  // namespace actool::run
