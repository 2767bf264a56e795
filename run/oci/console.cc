#include "run/oci/console.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "core/base/error.h"
#include "core/base/fd_message.h"

namespace actool::run::oci {

ConsoleSocket::ConsoleSocket(Path path) : path_(std::move(path)) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string text = path_.string();
  if (text.size() >= sizeof address.sun_path) {
    throw Error("the pod's directory has too long a path for a socket in it: " + text,
                "use a shorter --dir");
  }
  std::memcpy(static_cast<void*>(address.sun_path), text.data(), text.size());
  socket_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket_) throwErrno("making the console socket");
  ::unlink(text.c_str());
  if (::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(socket_.get(), 1) != 0) {
    throwErrno("listening at " + text);
  }
}

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
