#include "run/native/metadata.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "core/base/error.h"
#include "core/base/fs.h"

namespace actool::run::native {
namespace {

constexpr int kServiceBacklog = 64;

}  // namespace

MetadataSocket makeMetadataSocket(const std::string& token) {
  UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  socklen_t length = sizeof address;
  if (!socket || ::bind(socket.get(), generic, length) != 0 ||
      ::listen(socket.get(), kServiceBacklog) != 0 ||
      ::getsockname(socket.get(), generic, &length) != 0) {
    throwErrno("making the metadata service's socket");
  }
  return {std::move(socket),
          "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port)) + "/" + token};
}

MetadataService::MetadataService(UniqueFd socket, std::string token, const Uuid& uuid)
    : socket_(std::move(socket)), token_(std::move(token)), uuid_(uuid.str()) {
  restart();
}

void MetadataService::restart() {
  child_.reset();
  std::error_code failure;
  const Path self = std::filesystem::read_symlink("/proc/self/exe", failure);
  if (failure) throw SystemError(failure.value(), "reading /proc/self/exe");
  SpawnOptions options;
  options.program = self.parent_path() / "metadata";
  options.argv = {options.program.string(), uuid_};
  options.fds = {{3, socket_.get()}};
  options.env = std::vector<std::string>{"ACTOOL_METADATA_TOKEN=" + token_};
  options.dieWithParent = true;
  child_ = withContext("starting the metadata service", [&] { return Child::spawn(options); });
}

}  // namespace actool::run::native
