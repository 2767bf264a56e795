#include "run/vm/guest/job.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <vector>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "run/native/namespaces.h"
#include "run/native/stdio.h"

namespace actool::run::vm {
namespace {

void makeNonBlocking(const UniqueFd& fd) {
  if (::fcntl(fd.get(), F_SETFL, O_NONBLOCK) != 0) throwErrno("setting up a job's pipes");
}

// In the child.
[[noreturn]] void work(const std::array<int, 3>& files, bool terminal, const std::string& term,
                       const native::Channel& channel, const std::function<int()>& work) {
  int code = static_cast<int>(ExitCode::failure);
  try {
    if (::setsid() < 0) throwErrno("starting a session");
    if (terminal && ::ioctl(files[0], TIOCSCTTY, 0) != 0) throwErrno("taking the terminal");
    for (int number = 0; number < 3; ++number) {
      if (::dup2(files[static_cast<std::size_t>(number)], number) < 0) {
        throwErrno("setting up standard files");
      }
    }
    native::closeAllBut({channel.fd()});
    if (terminal) ::setenv("TERM", term.empty() ? "vt100" : term.c_str(), 1);
    code = work();
  } catch (const Error& error) {
    code = static_cast<int>(error.code());
    channel.send(native::MessageKind::failure, std::to_string(code) + " " + error.what());
  }
  ::_exit(code);
}

}  // namespace

Job::Job(std::uint16_t number, bool terminal, const std::string& term,
         const std::function<int()>& task)
    : number_(number), terminal_(terminal) {
  std::array<UniqueFd, 3> theirs;
  if (terminal) {
    int master = -1;
    int slave = -1;
    if (::openpty(&master, &slave, nullptr, nullptr, nullptr) != 0) throwErrno("making a terminal");
    output_[0].reset(master);
    theirs[0].reset(slave);
  } else {
    for (std::size_t i = 0; i < 3; ++i) {
      Pipe pipe = makePipe();
      theirs[i] = std::move(i == 0 ? pipe.read : pipe.write);
      (i == 0 ? input_ : output_[i - 1]) = std::move(i == 0 ? pipe.write : pipe.read);
    }
  }
  auto [ours, other] = native::Channel::makePair();
  pid_ = native::cloneProcess(0);
  if (pid_ == 0) {
    const int first = theirs[0].get();
    work({first, terminal ? first : theirs[1].get(), terminal ? first : theirs[2].get()}, terminal,
         term, other, task);
  }
  channel_ = std::move(ours);
  for (const UniqueFd* fd : {&input_, &output_[0], &output_[1]}) {
    if (*fd) makeNonBlocking(*fd);
  }
}

void Job::input(std::string_view bytes) {
  pending_ += bytes;
  if (bytes.empty()) inputEnds_ = true;
  if (inputEnds_ && pending_.empty()) input_.reset();
}

void Job::resize(std::string_view rowsAndColumns) const {
  const std::vector<std::string_view> numbers = split(rowsAndColumns, ' ');
  const auto rows = parseUint(numbers[0]);
  const auto columns = numbers.size() == 2 ? parseUint(numbers[1]) : std::nullopt;
  if (!terminal_ || !rows || !columns) return;
  winsize size{};
  size.ws_row = static_cast<unsigned short>(*rows);
  size.ws_col = static_cast<unsigned short>(*columns);
  ::ioctl(output_[0].get(), TIOCSWINSZ, &size);
}

void Job::addTo(std::vector<pollfd>& fds) const {
  const short in = onTheWay_ < kWindow ? POLLIN : 0;
  const short out = pending_.empty() ? 0 : POLLOUT;
  if (output_[0]) {
    const auto both = static_cast<short>(terminal_ ? in | out : in);
    if (both != 0) fds.push_back({output_[0].get(), both, 0});
  }
  if (output_[1] && in != 0) fds.push_back({output_[1].get(), in, 0});
  if (input_ && out != 0) fds.push_back({input_.get(), out, 0});
}

void Job::handle(const pollfd& fd, Link& link) {
  if (fd.revents == 0) return;
  const int writes = terminal_ ? output_[0].get() : input_.get();
  if (fd.fd == writes && !pending_.empty()) writeInput(link);
  for (std::size_t i = 0; i < output_.size(); ++i) {
    if (output_[i] && fd.fd == output_[i].get() && (fd.revents & ~POLLOUT) != 0) {
      copyOutput(i, link);
    }
  }
}

void Job::writeInput(Link& link) {
  const int fd = terminal_ ? output_[0].get() : input_.get();
  const ssize_t count = ::write(fd, pending_.data(), pending_.size());
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  // Nobody reads it any more: it is gone.
  const std::size_t gone = count < 0 ? pending_.size() : static_cast<std::size_t>(count);
  pending_.erase(0, gone);
  link.send(FrameKind::taken, number_, std::to_string(gone));
  if (inputEnds_ && pending_.empty()) input_.reset();
}

// False when there is nothing (more) to copy.
bool Job::copyOutput(std::size_t which, Link& link) {
  std::array<char, 32768> piece{};
  const ssize_t count = ::read(output_[which].get(), piece.data(), piece.size());
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (count <= 0) {
    // A terminal that nobody has open just now may be opened again.
    if (!terminal_) output_[which].reset();
    return false;
  }
  const auto size = static_cast<std::size_t>(count);
  onTheWay_ += size;
  link.send(which == 0 ? FrameKind::output : FrameKind::errorOutput, number_,
            std::string_view(piece.data(), size));
  return true;
}

void Job::finish(int code, Link& link) {
  for (std::size_t i = 0; i < output_.size(); ++i) {
    while (output_[i] && copyOutput(i, link)) {
    }
  }
  if (const auto failure = channel_->receive(false)) {
    link.send(FrameKind::failure, number_, failure->payload);
  }
  link.send(FrameKind::ended, number_, std::to_string(code));
}

}  // namespace actool::run::vm
