// One thing that is run in the guest for the host: the pod, or a command that enters it.
#pragma once

#include <poll.h>
#include <sys/types.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/fd.h"
#include "run/native/channel.h"
#include "run/vm/wire.h"

namespace actool::run::vm {

class Job {
 public:
  // Runs `work` in a child, which ends with what it returns. The child's standard files are pipes,
  // or a new pseudo-terminal of type `term`. It has a session of its own.
  Job(std::uint16_t number, bool terminal, const std::string& term,
      const std::function<int()>& work);

  std::uint16_t number() const { return number_; }
  pid_t pid() const { return pid_; }

  // From the host. `bytes` empty: the end of the input.
  void input(std::string_view bytes);
  void resize(std::string_view rowsAndColumns) const;
  void taken(std::size_t bytes) { onTheWay_ -= std::min(onTheWay_, bytes); }

  // The descriptors to wait for, and what to do with those that poll(2) says something of.
  void addTo(std::vector<pollfd>& fds) const;
  void handle(const pollfd& fd, Link& link);
  // The child has ended: what it has written goes to the host, then how it ended.
  void finish(int code, Link& link);

 private:
  bool copyOutput(std::size_t which, Link& link);
  void writeInput(Link& link);

  std::uint16_t number_;
  pid_t pid_ = -1;
  UniqueFd input_;                  // of pipes
  std::array<UniqueFd, 2> output_;  // of a terminal the first, which is its input too
  bool terminal_;
  std::optional<native::Channel> channel_;  // on which the child says why it failed
  std::string pending_;
  bool inputEnds_ = false;
  std::size_t onTheWay_ = 0;  // output that the host has not taken yet
};

}  // namespace actool::run::vm
