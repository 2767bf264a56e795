#include "run/native/journal.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>

#include <cstring>
#include <string>

#include "core/base/error.h"

namespace actool::run::native {

UniqueFd openJournal(std::string_view identifier, bool errors) {
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) throwErrno("making a socket for the journal");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, kJournalSocket, sizeof address.sun_path - 1);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return {};
  }
  // journald's header of a stream: identifier, unit, priority, whether "<N>" begins a line with a
  // priority, and three forwards (to syslog, the kernel's log and the console).
  const std::string header = std::string(identifier) + "\n\n" +
                             std::to_string(errors ? LOG_WARNING : LOG_INFO) + "\n1\n0\n0\n0\n";
  writeAll(socket.get(), header, "the journal");
  return socket;
}

}  // namespace actool::run::native
