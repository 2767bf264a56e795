// One of our standard streams that the pod's output goes to. Never blocks, and leaves the
// descriptor's flags alone: others may have it too.
#pragma once

#include <poll.h>

#include <string>
#include <string_view>
#include <vector>

namespace actool::run::vm {

class Outlet {
 public:
  explicit Outlet(int fd) : fd_(fd) {}

  void add(std::string_view bytes) { pending_ += bytes; }
  void addTo(std::vector<pollfd>& fds) const;
  // How many bytes were written, or can't be because nobody reads any more.
  std::size_t handle(const std::vector<pollfd>& fds);
  // Writes all that is left, however long that takes.
  void drain();

 private:
  std::size_t write();

  int fd_;
  std::string pending_;
};

}  // namespace actool::run::vm
