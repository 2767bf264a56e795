#include "p2p/staged_ingest.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

#include <cerrno>
#include <span>

#include "core/base/fd_message.h"
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
  std::vector<std::string> args{"ingest", "--resume", "--staged", "--wait-progress"};
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
}

UniqueFd StagedIngest::open(const std::function<void(std::uint64_t)>& waiting) {
  for (;;) {
    const std::string line = nextLine();
    const Json record = parseJson(line, "the answer of actool-image ingest");
    const std::string kind = stringMember(record, "kind");
    if (kind == "ingest") return receiveFile();
    if (kind == "image") {
      image_ = line;
      return {};
    }
    if (kind != "waiting") {
      throw Error("actool-image ingest answers with a record that is not known");
    }
    const Json& bytes = member(record, "bytes");
    if (!bytes.is_number_unsigned()) throw Error("actool-image ingest waits for no count of bytes");
    waiting(bytes.get<std::uint64_t>());
  }
}

void StagedIngest::check() {
  pollfd output{output_.get(), POLLIN, 0};
  // Until all bytes are there it has nothing to say, so that this is its end.
  if (::poll(&output, 1, 0) > 0) throwFailure();
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
  auto received =
      receiveMessage(socket_.get(), std::span(&byte, 1), "the file from actool-image ingest");
  if (!received || !received->fd) throwFailure();
  return std::move(received->fd);
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
