#include "p2p/staged_ingest.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/strings.h"

namespace actool::p2p {

namespace {

constexpr std::string_view kProgram = "actool-image";
constexpr std::size_t kMostLineBytes = 1 << 20;

std::pair<UniqueFd, UniqueFd> socketPair() {
  std::array<int, 2> fds{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()) != 0) {
    throwErrno("making a socket");
  }
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

}  // namespace

StagedIngest::StagedIngest(const cli::Siblings& siblings, const std::vector<std::string>& arguments)
    : siblings_(siblings) {
  std::vector<std::string> args{"ingest", "--resume", "--staged"};
  args.insert(args.end(), arguments.begin(), arguments.end());
  auto [ours, theirs] = socketPair();
  Pipe out = makePipe();
  SpawnOptions options;
  options.argv = siblings.command(kProgram, args);
  options.fds = {{0, theirs.get()}, {1, out.write.get()}, {2, err_.fd()}};
  options.dieWithParent = true;
  child_.emplace(Child::spawn(options));
  socket_ = std::move(ours);
  output_ = std::move(out.read);
  theirs.reset();
  out.write.reset();
  std::string line;
  std::string kind;
  do {
    line = nextLine();
    kind = stringMember(parseJson(line, "the answer of actool-image ingest"), "kind");
  } while (kind == "waiting");  // another process brings the same image
  if (kind == "image") {
    image_ = line;
  } else if (kind == "ingest") {
    file_ = receiveFile();
  } else {
    throw Error("actool-image ingest answers with a record that is not known");
  }
}

StagedIngest::~StagedIngest() {
  if (!child_) return;
  child_->kill(SIGTERM);
  try {
    child_->wait();
  } catch (const SystemError& error) {
    log::debug("{}", error.what());
  }
}

UniqueFd StagedIngest::receiveFile() {
  char byte = 0;
  iovec data{&byte, 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t got = 0;
  do {
    got = ::recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  if (got < 0) throwErrno("receiving the file from actool-image ingest");
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (got == 0 || header == nullptr || header->cmsg_level != SOL_SOCKET ||
      header->cmsg_type != SCM_RIGHTS || header->cmsg_len != CMSG_LEN(sizeof(int))) {
    throwFailure();
  }
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return UniqueFd(fd);
}

void StagedIngest::send(const std::string& line) {
  try {
    writeAll(socket_.get(), line, "the socket to actool-image ingest");
  } catch (const SystemError& error) {
    if (error.errnum() != EPIPE && error.errnum() != ECONNRESET) throw;
    throwFailure();
  }
}

void StagedIngest::notePrefix(std::uint64_t bytes) {
  send(fmt::format("prefix {}\n", bytes));
}

std::string StagedIngest::finish(std::uint64_t size) {
  send(fmt::format("complete {}\n", size));
  std::string line = nextLine();
  const ExitStatus status = child_->wait();
  child_.reset();
  if (!status.ok()) cli::throwSiblingFailure(kProgram, status, err_.content());
  siblings_.talk(err_.content());
  return line;
}

void StagedIngest::throwFailure() {
  socket_.reset();
  const ExitStatus status = child_->wait();
  child_.reset();
  if (status.ok()) throw Error("actool-image ingest stopped before the end of the image");
  cli::throwSiblingFailure(kProgram, status, err_.content());
}

std::string StagedIngest::nextLine() {
  std::array<std::byte, 4096> buffer;
  for (;;) {
    if (const std::size_t end = pending_.find('\n'); end != std::string::npos) {
      std::string line = pending_.substr(0, end);
      pending_.erase(0, end + 1);
      return line;
    }
    if (pending_.size() > kMostLineBytes) {
      throw Error("the answer of actool-image ingest does not end");
    }
    const std::size_t count = readSome(output_.get(), buffer, "the answer of actool-image ingest");
    if (count == 0) throwFailure();
    pending_.append(reinterpret_cast<const char*>(buffer.data()), count);
  }
}

}  // namespace actool::p2p
