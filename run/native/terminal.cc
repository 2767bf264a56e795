#include "run/native/terminal.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>

#include "core/base/error.h"

namespace actool::run::native {
namespace {

int outputTerminal() {
  for (const int number : {STDOUT_FILENO, STDERR_FILENO}) {
    if (::isatty(number) == 1) return number;
  }
  return STDIN_FILENO;  // a terminal is open both ways
}

}  // namespace

RawMode::RawMode() {
  if (::tcgetattr(STDIN_FILENO, &saved_) != 0) throwErrno("reading the terminal's settings");
  termios raw = saved_;
  ::cfmakeraw(&raw);
  if (::tcsetattr(STDIN_FILENO, TCSANOW, &raw) != 0) throwErrno("setting the terminal to raw mode");
}

RawMode::~RawMode() {
  ::tcsetattr(STDIN_FILENO, TCSADRAIN, &saved_);
}

Terminal::Terminal(UniqueFd master) : master_(std::move(master)), output_(outputTerminal()) {
  if (::fcntl(master_.get(), F_SETFL, O_NONBLOCK) != 0) throwErrno("setting up the pod's terminal");
  copySize();
}

void Terminal::copySize() const {
  winsize size{};
  if (::ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0) ::ioctl(master_.get(), TIOCSWINSZ, &size);
}

void Terminal::addTo(std::vector<pollfd>& fds) const {
  fds.push_back(
      {master_.get(), static_cast<short>(pending_.empty() ? POLLIN : POLLIN | POLLOUT), 0});
  if (inputOpen_ && pending_.empty()) fds.push_back({STDIN_FILENO, POLLIN, 0});
}

void Terminal::handle(const std::vector<pollfd>& fds) {
  for (const pollfd& one : fds) {
    if (one.fd == STDIN_FILENO && one.revents != 0) readInput();
    if (one.fd == master_.get() && (one.revents & POLLOUT) != 0) writeInput();
    if (one.fd == master_.get() && (one.revents & ~POLLOUT) != 0) copyOutput();
  }
}

void Terminal::readInput() {
  std::array<char, 4096> buffer{};
  const ssize_t count = ::read(STDIN_FILENO, buffer.data(), buffer.size());
  if (count < 0 && errno == EINTR) return;
  // A terminal that was hung up has nothing more to say; SIGHUP tells the pod.
  if (count <= 0) {
    inputOpen_ = false;
    return;
  }
  pending_.assign(buffer.data(), static_cast<std::size_t>(count));
  writeInput();
}

void Terminal::writeInput() {
  const ssize_t count = ::write(master_.get(), pending_.data(), pending_.size());
  if (count > 0) pending_.erase(0, static_cast<std::size_t>(count));
}

bool Terminal::copyOutput() {
  std::array<char, 16384> buffer{};
  const ssize_t count = ::read(master_.get(), buffer.data(), buffer.size());
  if (count <= 0) return false;  // EIO: no process of the pod has the terminal open
  writeAll(output_, std::string_view(buffer.data(), static_cast<std::size_t>(count)),
           "the terminal");
  return true;
}

void Terminal::drain() {
  while (copyOutput()) {
  }
}

}  // namespace actool::run::native
