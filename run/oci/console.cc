#include "run/oci/console.h"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <utility>

#include "core/base/error.h"
#include "core/base/fd_message.h"
#include "core/base/unix_socket.h"

namespace actool::run::oci {

ConsoleSocket::ConsoleSocket(Path path)
    : path_(std::move(path)), socket_(listenUnix(path_, SOCK_STREAM | SOCK_NONBLOCK, 1)) {}

ConsoleSocket::~ConsoleSocket() {
  ::unlink(path_.c_str());
}

UniqueFd ConsoleSocket::receive() const {
  const UniqueFd connection(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!connection) throwErrno("waiting for the container's terminal");
  // The message's text names the terminal; only the descriptor matters.
  std::array<char, 4096> text{};
  auto message = receiveMessage(connection.get(), text, "the container's terminal");
  if (!message || !message->fd) throw Error("the runtime handed out no terminal");
  return std::move(message->fd);
}

}  // namespace actool::run::oci
