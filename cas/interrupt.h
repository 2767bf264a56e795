// SIGTERM, SIGINT and SIGHUP as a readable descriptor, so that a transfer can be left in order:
// what came is kept, temporary files go. SIGKILL must be survived as well; this is only neater.
#pragma once

#include "core/base/fd.h"

namespace actool::cas {

// From construction to destruction the three signals only make fd() readable. One object a
// process. Signals that were ignored (nohup) stay so. Children start with the default
// dispositions, as exec(2) resets handlers.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  int fd() const { return pipe_.read.get(); }
  // The signal that came, 0 when none did.
  static int signal();
  // Ends this process as the signal that came would have. Returns when none came.
  static void raiseAgain();

 private:
  Pipe pipe_;
};

}  // namespace actool::cas
