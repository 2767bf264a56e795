#include "p2p/control_socket.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/unix_socket.h"

namespace actool::p2p {

namespace {

constexpr std::size_t kMostAnswerBytes = 64 << 20;
constexpr int kAnswerMilliseconds = 10'000;
constexpr int kBacklog = 16;

}  // namespace

ControlSocket::ControlSocket(Path path) : path_(std::move(path)) {
  if (connectUnix(path_, SOCK_STREAM)) {
    throw InUseError(fmt::format("a seeder listens at {} already", path_.string()));
  }
  fd_ = listenUnix(path_, SOCK_STREAM | SOCK_NONBLOCK, kBacklog);
}

ControlSocket::~ControlSocket() {
  if (::unlink(path_.c_str()) != 0) log::debug("removing {}: errno {}", path_.string(), errno);
}

void ControlSocket::answer(const std::function<std::string()>& status) const {
  for (;;) {
    const UniqueFd client(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!client) return;
    const std::string text = status();
    const timeval patience{.tv_sec = 1, .tv_usec = 0};
    ::setsockopt(client.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    try {
      writeAll(client.get(), text, path_.string());
    } catch (const SystemError& error) {
      log::debug("{}", error.what());
    }
  }
}

Json askSeeder(const Path& path) {
  const UniqueFd fd = connectUnix(path, SOCK_STREAM | SOCK_NONBLOCK);
  if (!fd) {
    throw NotFoundError(fmt::format("no seeder listens at {}", path.string()),
                        "start one with 'actool seed'");
  }
  std::string answer;
  std::array<std::byte, 64 << 10> buffer;
  for (;;) {
    pollfd waiting{fd.get(), POLLIN, 0};
    if (::poll(&waiting, 1, kAnswerMilliseconds) == 0) {
      throw Error(fmt::format("the seeder at {} does not answer", path.string()));
    }
    const std::size_t got = readSome(fd.get(), buffer, path.string());
    if (got == 0) break;
    answer.append(reinterpret_cast<const char*>(buffer.data()), got);
    if (answer.size() > kMostAnswerBytes) throw Error("the seeder's answer does not end");
  }
  return parseJson(answer, "the seeder's answer", {.bytes = kMostAnswerBytes});
}

Path seederDir(const Path& store) {
  Path inStore = store / "seed";
  if (::access(store.c_str(), W_OK) == 0 || errno == ENOENT) return inStore;
  // Made by somebody for the seeder's user.
  if (::access(inStore.c_str(), W_OK) == 0) return inStore;
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  return runtime == nullptr ? Path() : Path(runtime) / "actool-seed";
}

}  // namespace actool::p2p
