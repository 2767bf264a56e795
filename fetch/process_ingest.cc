#include "fetch/process_ingest.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>

#include <array>
#include <cerrno>

#include "core/base/log.h"
#include "core/base/strings.h"

namespace actool::fetch {
namespace {

constexpr std::string_view kProgram = "actool-image";
// Fewer and longer stays of either process: the default of 64 KiB is two of curl's buffers.
// It is also the most that an ordinary user may have.
constexpr int kPipeBytes = 1 << 20;
constexpr int kDrainTries = 500;
constexpr int kDrainPauseMs = 2;

class ProcessIngestSession final : public IngestSession {
 public:
  ProcessIngestSession(const cli::Siblings& siblings, const IngestRequest& request)
      : siblings_(siblings) {
    std::vector<std::string> args{"ingest", "--resume"};
    if (request.onWaiting) args.emplace_back("--wait-progress");
    for (std::string& arg : request.arguments())
      args.push_back(std::move(arg));
    Pipe in = makePipe();
    Pipe out = makePipe();
    if (::fcntl(in.write.get(), F_SETPIPE_SZ, kPipeBytes) < 0) {
      log::debug("the pipe to ingest keeps its size: {}",
                 SystemError(errno, "F_SETPIPE_SZ").what());
    }
    SpawnOptions options;
    options.argv = siblings.command(kProgram, args);
    options.fds = {{0, in.read.get()}, {1, out.write.get()}, {2, err_.fd()}};
    // Were this process killed, the pipe would end like a complete image.
    options.dieWithParent = true;
    child_.emplace(Child::spawn(options));
    input_ = std::move(in.write);
    output_ = std::move(out.read);
    in.read.reset();
    out.write.reset();
    opening_ = parseIngestLine(lineAfterWaiting(request));
  }

  ~ProcessIngestSession() override { ProcessIngestSession::abandon(); }

  ProcessIngestSession(const ProcessIngestSession&) = delete;
  ProcessIngestSession& operator=(const ProcessIngestSession&) = delete;

  const std::variant<std::uint64_t, record::Image>& opening() const override { return opening_; }

  void write(std::span<const std::byte> bytes) override {
    try {
      writeAll(input_.get(), bytes, "the pipe to actool-image ingest");
    } catch (const SystemError& error) {
      if (error.errnum() != EPIPE) throw;
      throwFailure();
    }
  }

  record::Image finish() override {
    input_.reset();
    std::variant<std::uint64_t, record::Image> last = opening_;
    if (!std::holds_alternative<record::Image>(last)) last = parseIngestLine(nextLine());
    const ExitStatus status = child_->wait();
    child_.reset();
    if (!status.ok()) cli::throwSiblingFailure(kProgram, status, err_.content());
    if (!std::holds_alternative<record::Image>(last))
      throw Error("actool-image ingest ended without an image record");
    siblings_.talk(err_.content());
    return std::get<record::Image>(std::move(last));
  }

  void abandon() override {
    if (!child_) return;
    waitUntilTaken();
    // The signal first: end of input would say that the bytes are complete.
    child_->kill(SIGTERM);
    try {
      child_->wait();
    } catch (const SystemError& error) {
      log::debug("{}", error.what());
    }
    child_.reset();
    input_.reset();
  }

 private:
  [[noreturn]] void throwFailure() {
    input_.reset();
    const ExitStatus status = child_->wait();
    child_.reset();
    if (status.ok()) throw Error("actool-image ingest stopped before the end of the image");
    cli::throwSiblingFailure(kProgram, status, err_.content());
  }

  // What is in the pipe came over the network: a moment for ingest to take it, so that it need
  // not come again.
  void waitUntilTaken() const {
    for (int left = kDrainTries; left > 0; --left) {
      int waiting = 0;
      if (::ioctl(input_.get(), FIONREAD, &waiting) != 0 || waiting == 0) return;
      // POLLERR: nobody reads any more.
      pollfd reader{input_.get(), 0, 0};
      if (::poll(&reader, 1, kDrainPauseMs) > 0) return;
    }
  }

  // The first line that does not say that another process is bringing the same image.
  std::string lineAfterWaiting(const IngestRequest& request) {
    for (bool said = false;; said = true) {
      std::string line = nextLine();
      const auto bytes = parseWaitingLine(line);
      if (!bytes) return line;
      if (!said) {
        log::info("{}: waiting for another process that fetches the same image",
                  printable(request.source));
      }
      if (request.onWaiting) request.onWaiting(*bytes);
    }
  }

  // The next line of standard output; throws ingest's failure when there is none.
  std::string nextLine() {
    std::array<std::byte, 4096> buffer;
    for (;;) {
      if (const std::size_t end = pending_.find('\n'); end != std::string::npos) {
        std::string line = pending_.substr(0, end);
        pending_.erase(0, end + 1);
        return line;
      }
      if (pending_.size() > record::kMaxLineBytes)
        throw Error("the answer of actool-image ingest does not end");
      const std::size_t count =
          readSome(output_.get(), buffer, "the answer of actool-image ingest");
      if (count == 0) throwFailure();
      pending_.append(reinterpret_cast<const char*>(buffer.data()), count);
    }
  }

  const cli::Siblings& siblings_;
  cli::ScratchFile err_;
  UniqueFd input_;
  UniqueFd output_;
  std::string pending_;
  std::variant<std::uint64_t, record::Image> opening_ = std::uint64_t{0};
  // Last, so that it goes first: an input that closes before its reader is dead says "complete".
  std::optional<Child> child_;
};

}  // namespace

std::unique_ptr<IngestSession> ProcessIngestClient::begin(const IngestRequest& request) {
  return std::make_unique<ProcessIngestSession>(siblings_, request);
}

record::Image ProcessIngestClient::ingestFile(const IngestRequest& request, const Path& file) {
  std::vector<std::string> args{"ingest"};
  for (std::string& arg : request.arguments())
    args.push_back(std::move(arg));
  args.push_back(file.string());
  const std::string out = siblings_.runOrThrow(kProgram, args);
  const auto answer = parseIngestLine(trim(out));
  if (!std::holds_alternative<record::Image>(answer))
    throw Error("actool-image ingest ended without an image record");
  return std::get<record::Image>(answer);
}

}  // namespace actool::fetch
