// The terminal of whoever runs an interactive pod, joined to the pod's own pseudo-terminal.
//
// The app gets a terminal of the pod's and never the host's: with that it could type into the
// shell that started it (TIOCSTI) and change its settings.
#pragma once

#include <poll.h>
#include <termios.h>

#include <string>
#include <vector>

#include "core/base/fd.h"

namespace actool::run::native {

// While it lives the terminal that is standard input is in raw mode.
class RawMode {
 public:
  RawMode();
  ~RawMode();
  RawMode(const RawMode&) = delete;
  RawMode& operator=(const RawMode&) = delete;

 private:
  termios saved_{};
};

// While it lives the host's terminal is in raw mode; the destructor restores it.
class Terminal {
 public:
  // `master` is the pod's side that we hold; standard input is the host's terminal.
  explicit Terminal(UniqueFd master);
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  void copySize() const;  // on SIGWINCH
  // The descriptors to wait for, and what to do after poll(2) has filled them in. Never blocks on
  // the pod: what it does not read yet stays here, and no more is read for it.
  void addTo(std::vector<pollfd>& fds) const;
  void handle(const std::vector<pollfd>& fds);
  // Everything the pod has still written.
  void drain();

 private:
  bool copyOutput();  // false when there is none
  void readInput();
  void writeInput();

  UniqueFd master_;
  int output_;
  RawMode raw_;
  std::string pending_;  // typed, not yet taken by the pod
  bool inputOpen_ = true;
};

}  // namespace actool::run::native
