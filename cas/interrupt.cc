#include "cas/interrupt.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>

#include "core/base/error.h"

namespace actool::cas {

namespace {

constexpr std::array<int, 3> kSignals = {SIGTERM, SIGINT, SIGHUP};

std::atomic<int> caught = 0;
std::atomic<int> wakeFd = -1;
static_assert(std::atomic<int>::is_always_lock_free);

void onSignal(int number) {
  const int saved = errno;
  caught = number;
  // The pipe does not block; when it is full it is readable, which is all that matters.
  const char byte = 0;
  const ssize_t written = ::write(wakeFd, &byte, 1);
  static_cast<void>(written);
  errno = saved;
}

void setHandler(int number, void (*handler)(int)) {
  struct sigaction action {};
  if (::sigaction(number, nullptr, &action) != 0) throwErrno("reading a signal's disposition");
  if (action.sa_handler == SIG_IGN) return;
  action = {};
  action.sa_handler = handler;
  ::sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  if (::sigaction(number, &action, nullptr) != 0) throwErrno("setting a signal's disposition");
}

}  // namespace

InterruptGuard::InterruptGuard() : pipe_(makePipe()) {
  for (const int fd : {pipe_.read.get(), pipe_.write.get()}) {
    if (::fcntl(fd, F_SETFL, O_NONBLOCK) != 0) throwErrno("making a pipe non-blocking");
  }
  wakeFd = pipe_.write.get();
  for (const int number : kSignals)
    setHandler(number, onSignal);
}

InterruptGuard::~InterruptGuard() {
  for (const int number : kSignals) {
    struct sigaction action {};
    if (::sigaction(number, nullptr, &action) == 0 && action.sa_handler == onSignal) {
      std::signal(number, SIG_DFL);
    }
  }
  wakeFd = -1;
}

int InterruptGuard::signal() {
  return caught;
}

void InterruptGuard::raiseAgain() {
  if (caught == 0) return;
  std::signal(caught, SIG_DFL);
  std::raise(caught);
}

}  // namespace actool::cas
