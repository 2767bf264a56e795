#include "run/native/signals.h"

#include <sys/signalfd.h>

#include <csignal>

#include "core/base/error.h"

namespace actool::run::native {
namespace {

void block(const sigset_t& mask) {
  if (::sigprocmask(SIG_BLOCK, &mask, nullptr) != 0) throwErrno("blocking signals");
}

void add(sigset_t& mask, std::span<const int> signals) {
  for (const int signal : signals)
    ::sigaddset(&mask, signal);
}

}  // namespace

void blockSignals(std::span<const int> signals) {
  sigset_t mask;
  ::sigemptyset(&mask);
  add(mask, signals);
  block(mask);
}

UniqueFd receiveSignals(std::span<const int> signals, std::initializer_list<int> more) {
  sigset_t mask;
  ::sigemptyset(&mask);
  add(mask, signals);
  add(mask, more);
  block(mask);
  UniqueFd received(::signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!received) throwErrno("receiving signals");
  return received;
}

}  // namespace actool::run::native
