// Starting and waiting for child processes.
#pragma once

#include <sys/types.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/fd.h"
#include "core/base/fs.h"

namespace actool {

// For a program of a few milliseconds: its heap grows by large pieces, and what is freed of it
// stays. Otherwise malloc(3) asks the kernel for each 128 KiB, and gives some back to ask for it
// again.
void keepHeap();

// How a process ended. Exactly one of the two is meaningful.
struct ExitStatus {
  bool signaled = false;
  int value = 0;  // exit code, or the signal's number

  bool ok() const { return !signaled && value == 0; }
  // As a shell has it: the exit code, or 128 + signal.
  int shellCode() const { return signaled ? 128 + value : value; }
  std::string describe() const;  // "exited with 3", "was killed by SIGKILL"
};

struct SpawnOptions {
  std::vector<std::string> argv;  // argv[0] is passed as it is
  Path program;                   // what to execute; argv[0] searched in PATH if empty
  std::map<int, int> fds;         // child's number -> ours; others are close-on-exec
  std::optional<std::vector<std::string>> env;  // "NAME=value" list; inherited when absent
  bool newSession = false;                      // setsid(2) in the child
  bool dieWithParent = false;                   // PR_SET_PDEATHSIG SIGKILL
};

// Owns a running child. The destructor kills (SIGKILL) and reaps one that was not waited for.
class Child {
 public:
  // Throws NotFoundError when the program does not exist, SystemError otherwise. exec
  // failures in the child are reported here, over a pipe.
  static Child spawn(const SpawnOptions& options);

  Child(Child&& other) noexcept;
  Child& operator=(Child&& other) noexcept;
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child();

  pid_t pid() const noexcept { return pid_; }
  // Blocks until the child has ended. To be called once.
  ExitStatus wait();
  // Nothing while it runs.
  std::optional<ExitStatus> poll();
  void kill(int signal) noexcept;

 private:
  explicit Child(pid_t pid) noexcept : pid_(pid) {}
  pid_t pid_ = -1;
};

struct CommandResult {
  ExitStatus status;
  std::string out;
};

// Runs to the end with standard output captured (at most `limit` bytes) and standard error
// inherited. `input` is fed to standard input when given, /dev/null otherwise.
CommandResult runCommand(const std::vector<std::string>& argv, std::size_t limit = 16 << 20,
                         std::optional<std::string> input = std::nullopt);

}  // namespace actool
