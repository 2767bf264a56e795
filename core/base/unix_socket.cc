#include "core/base/unix_socket.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "core/base/error.h"
#include "core/base/strings.h"

namespace actool {
namespace {

sockaddr_un unixAddress(const Path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string& text = path.native();
  if (text.empty() || text.size() >= sizeof address.sun_path) {
    throw UsageError(fmt::format("{} is too long a path for a socket", printable(text)),
                     fmt::format("the kernel takes {} bytes", sizeof address.sun_path - 1));
  }
  std::memcpy(static_cast<void*>(address.sun_path), text.data(), text.size());
  return address;
}

UniqueFd makeUnixSocket(int type) {
  UniqueFd fd(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  if (!fd) throwErrno("making a socket");
  return fd;
}

}  // namespace

UniqueFd listenUnix(const Path& path, int type, int backlog) {
  const sockaddr_un address = unixAddress(path);
  UniqueFd fd = makeUnixSocket(type);
  if ((::unlink(path.c_str()) != 0 && errno != ENOENT) ||
      ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(fd.get(), backlog) != 0) {
    throwErrno("listening at " + path.string());
  }
  return fd;
}

UniqueFd connectUnix(const Path& path, int type) {
  const sockaddr_un address = unixAddress(path);
  UniqueFd fd = makeUnixSocket(type);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
    return fd;
  }
  if (errno == ENOENT || errno == ECONNREFUSED) return {};
  throwErrno("connecting to " + path.string());
}

}  // namespace actool
