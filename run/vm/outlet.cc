#include "run/vm/outlet.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

namespace actool::run::vm {

void Outlet::addTo(std::vector<pollfd>& fds) const {
  if (!pending_.empty()) fds.push_back({fd_, POLLOUT, 0});
}

std::size_t Outlet::handle(const std::vector<pollfd>& fds) {
  const bool can = std::any_of(fds.begin(), fds.end(), [&](const pollfd& one) {
    return one.fd == fd_ && (one.revents & (POLLOUT | POLLERR | POLLHUP)) != 0;
  });
  return can && !pending_.empty() ? write() : 0;
}

// A pipe that poll(2) finds writable takes PIPE_BUF bytes at once.
std::size_t Outlet::write() {
  const ssize_t count =
      ::write(fd_, pending_.data(), std::min<std::size_t>(pending_.size(), PIPE_BUF));
  if (count < 0 && (errno == EINTR || errno == EAGAIN)) return 0;
  const std::size_t gone = count < 0 ? pending_.size() : static_cast<std::size_t>(count);
  pending_.erase(0, gone);
  return gone;
}

void Outlet::drain() {
  while (!pending_.empty()) {
    std::vector<pollfd> fds = {{fd_, POLLOUT, 0}};
    ::poll(fds.data(), fds.size(), -1);
    handle(fds);
  }
}

}  // namespace actool::run::vm
