#include "cas/staged_input.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>

#include <array>
#include <cerrno>
#include <optional>

#include "cas/pipeline.h"
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

std::uint64_t awaitStaged(int socket, int interruptFd,
                          const std::function<void(std::uint64_t)>& prefix) {
  std::string pending;
  std::array<char, 256> buffer{};
  for (;;) {
    std::array<pollfd, 2> waiting{{{socket, POLLIN, 0}, {interruptFd, POLLIN, 0}}};
    if (::poll(waiting.data(), waiting.size(), -1) < 0) {
      if (errno == EINTR) continue;
      throwErrno("waiting for the transport");
    }
    if (waiting[1].revents != 0) throw Interrupted();
    const std::size_t got =
        readSome(socket, std::as_writable_bytes(std::span(buffer)), "standard input");
    if (got == 0) throw Interrupted();
    pending.append(buffer.data(), got);
    for (std::size_t end = pending.find('\n'); end != std::string::npos; end = pending.find('\n')) {
      const auto [complete, number] = parseLine(std::string_view(pending).substr(0, end));
      if (complete) return number;
      prefix(number);
      pending.erase(0, end + 1);
    }
    if (pending.size() > kMostLineBytes) throw Error("standard input: a line does not end");
  }
}

bool hasNoWriter(int fd) {
  // A read lease is granted only on a file that nobody has open for writing (fcntl(2)).
  if (::fcntl(fd, F_SETLEASE, F_RDLCK) != 0) return false;
  ::fcntl(fd, F_SETLEASE, F_UNLCK);
  return true;
}

}  // namespace actool::cas
