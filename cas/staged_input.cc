#include "cas/staged_input.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>

#include <array>
#include <cerrno>
#include <optional>

#include "cas/layout/stamp.h"
#include "core/base/error.h"
#include "core/base/fd_message.h"
#include "core/base/strings.h"

namespace actool::cas {

namespace {

constexpr std::size_t kMostLineBytes = 64;

// "prefix N" or "complete N".
std::pair<bool, std::uint64_t> parseLine(std::string_view line) {
  const std::size_t space = std::min(line.find(' '), line.size());
  const std::string_view word = line.substr(0, space);
  const auto number = parseUint(line.substr(std::min(space + 1, line.size())));
  if (!number || (word != "prefix" && word != "complete")) {
    throw Error(fmt::format("standard input: \"{}\" is not understood", printable(line)));
  }
  return {word == "complete", *number};
}

}  // namespace

void offerStaged(int socket, const Path& file) {
  const UniqueFd fd = openFile(file.string(), O_RDWR | O_CREAT, 0644);
  constexpr std::string_view kWhat =
      "a descriptor over standard input, which has to be a Unix socket";
  if (!sendMessage(socket, "f", fd.get(), kWhat)) throw Interrupted();
}

bool StagedArrivals::listen(int wake) {
  std::array<char, 256> buffer{};
  std::array<pollfd, 3> waiting{
      {{socket_, POLLIN, 0}, {interruptFd_, POLLIN, 0}, {wake, POLLIN, 0}}};
  while (::poll(waiting.data(), waiting.size(), -1) < 0)
    if (errno != EINTR) throwErrno("waiting for the transport");
  if (waiting[2].revents != 0) return false;
  if (waiting[1].revents != 0) throw Interrupted();
  const std::size_t got =
      readSome(socket_, std::as_writable_bytes(std::span(buffer)), "standard input");
  if (got == 0) throw Interrupted();
  pending_.append(buffer.data(), got);
  for (std::size_t end = pending_.find('\n'); end != std::string::npos && !size_;
       end = pending_.find('\n')) {
    const auto [complete, number] = parseLine(std::string_view(pending_).substr(0, end));
    pending_.erase(0, end + 1);
    if (!complete) {
      prefix_ = number;
      onPrefix_(number);
    } else if (lookOf(file_, name_).size == number) {
      size_ = number;
    } else {
      throw Error(fmt::format("{} has not the {} bytes that were announced", name_, number));
    }
  }
  if (pending_.size() > kMostLineBytes) throw Error("standard input: a line does not end");
  return true;
}

std::optional<std::uint64_t> StagedArrivals::wait(std::uint64_t known, int wake) {
  while (!size_ && prefix_ <= known)
    if (!listen(wake)) return std::nullopt;
  return std::max(size_.value_or(0), prefix_);
}

bool StagedArrivals::settle(int wake) {
  while (!size_)
    if (!listen(wake)) return false;
  if (!settled_ && !hasNoWriter(file_)) throw UnsettledError(name_ + " may still be written to");
  settled_ = true;
  return true;
}

std::uint64_t StagedArrivals::finish() {
  while (!size_)
    listen(-1);
  return *size_;
}

bool hasNoWriter(int fd) {
  // A read lease is granted only on a file that nobody has open for writing (fcntl(2)).
  if (::fcntl(fd, F_SETLEASE, F_RDLCK) != 0) return false;
  ::fcntl(fd, F_SETLEASE, F_UNLCK);
  return true;
}

}  // namespace actool::cas
