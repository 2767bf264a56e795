#include "cas/pipeline.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "cas/inflate.h"
#include "core/base/bounded_queue.h"
#include "core/base/error.h"
#include "core/base/mac.h"
#include "core/base/strings.h"

namespace actool::cas {

namespace {

// Small enough to stay in a core's cache between the stages, large enough that queues and
// system calls cost nothing beside the work.
constexpr std::size_t kBufferBytes = 256 << 10;
constexpr std::size_t kDistributedBuffers = 8;
constexpr std::size_t kTarBuffers = 16;
// Writing to disk starts while more comes, so that fsync has little left to wait for.
constexpr std::uint64_t kWritebackBytes = 8 << 20;

struct Buffer;
using BufferQueue = BoundedQueue<Buffer>;

struct Buffer {
  std::unique_ptr<std::byte[]> bytes;
  std::size_t size = 0;
  BufferQueue* home = nullptr;  // where it waits to be filled again

  std::span<std::byte> room() const { return {bytes.get(), kBufferBytes}; }
  std::span<const std::byte> content() const { return {bytes.get(), size}; }
};

void recycle(Buffer buffer) {
  BufferQueue* home = buffer.home;
  home->push(std::move(buffer));
}

// A file that is written from front to back.
class OutputFile {
 public:
  OutputFile(int fd, std::string name, std::uint64_t offset)
      : fd_(fd), name_(std::move(name)), offset_(offset), started_(offset) {}

  void write(std::span<const std::byte> bytes) {
    writeAll(fd_, bytes, name_);
    offset_ += bytes.size();
    if (offset_ - started_ >= kWritebackBytes) {
      // Advice: where a file system cannot, fsync does it all at the end.
      ::sync_file_range(fd_, static_cast<off_t>(started_), static_cast<off_t>(offset_ - started_),
                        SYNC_FILE_RANGE_WRITE);
      started_ = offset_;
    }
  }
  void sync() const {
    if (::fsync(fd_) != 0) throwErrno("flushing " + name_ + " to disk");
  }

 private:
  int fd_;
  std::string name_;
  std::uint64_t offset_;
  std::uint64_t started_;
};

// What was read of bytes that somebody can change, to be read again when nobody can.
class Recheck {
 public:
  void note(std::span<const std::byte> bytes) {
    mac_.update(bytes);
    size_ += bytes.size();
  }
  std::uint64_t size() const { return size_; }
  // To be given the same number of bytes, as they are now.
  Mac again() const { return Mac(key_); }
  bool agrees(Mac again) { return mac_.finish() == again.finish(); }

 private:
  MacKey key_;
  Mac mac_{key_};
  std::uint64_t size_ = 0;
};

// Thrown inside a stage that is to end because another one failed; never leaves this file.
struct Stopped {};

class Pipeline {
 public:
  explicit Pipeline(const PipelineJob& job);
  PipelineResult run();

 private:
  class TarSource;

  // The stages; each runs in a thread of its own.
  void readInput();
  void inflateAll();
  void checkTar();

  std::size_t readData(std::span<std::byte> room, std::uint64_t offset) const;
  std::size_t fillFromData(const Buffer& buffer, std::uint64_t offset) const;
  void awaitData(std::uint64_t bytes);
  [[noreturn]] void throwEarlyEnd(std::uint64_t total) const;
  void settle();
  std::size_t fillFromInput(std::span<std::byte> room, bool& interrupted) const;
  bool isInterrupted() const;
  void verify(std::span<const std::byte> bytes, std::uint64_t offset);
  void verifyUpTo(std::uint64_t offset);
  void checkSize(std::uint64_t total) const;
  void checkInflated() const;
  void beginInflate(std::span<const std::byte> head);
  void inflateBuffer(const Buffer& input);
  void endInflate();
  // Runs a stage and keeps its error by rank. False when it failed.
  bool guarded(const std::function<void()>& stage);
  void stopNow();

  const PipelineJob& job_;
  UniqueFd wake_;  // an eventfd: something failed, readInput() shall stop waiting
  BufferQueue distributedFree_{kDistributedBuffers};
  BufferQueue distributed_{kDistributedBuffers};
  BufferQueue tarFree_{kTarBuffers};
  BufferQueue tar_{kTarBuffers + kDistributedBuffers};
  // The content is refused: what is still to come is read for the verifier's sake only.
  std::atomic<bool> refused_ = false;
  std::atomic<bool> stopped_ = false;

  // Of the reading stage.
  std::uint64_t distributedSize_ = 0;
  std::uint64_t verified_ = 0;  // bytes that the verifier has
  std::uint64_t arrived_ = 0;   // of those that come
  std::optional<Recheck> recheck_;
  std::optional<Digest> distributedDigest_;
  std::vector<trust::Signer> signers_;
  // Of the inflating stage; the tar's descriptor is handed on with the first buffer.
  Encoding encoding_ = Encoding::none;
  std::unique_ptr<Inflater> inflater_;
  Buffer output_;
  std::uint64_t fed_ = 0;
  std::uint64_t inflated_ = 0;
  UniqueFd tarFd_;
  // Of the checking stage.
  std::optional<Digest> tarDigest_;
  std::optional<AciSummary> summary_;

  std::mutex failureMutex_;
  std::exception_ptr interrupted_;
  std::exception_ptr fatal_;
  std::exception_ptr early_;
  std::exception_ptr unsigned_;
  std::exception_ptr content_;
};

// What the tar check pulls: hashes and writes the tar on the way.
class Pipeline::TarSource : public AciSource {
 public:
  explicit TarSource(Pipeline& pipeline) : pipeline_(pipeline) {}

  std::span<const std::byte> next() override {
    if (current_) recycle(*std::exchange(current_, std::nullopt));
    current_ = pipeline_.tar_.pop();
    if (!current_) {
      if (pipeline_.refused_ || pipeline_.stopped_) throw Stopped{};
      return {};
    }
    hasher_.update(current_->content());
    if (!file_ && pipeline_.tarFd_) {
      file_.emplace(pipeline_.tarFd_.get(), pipeline_.job_.tar.string(), 0);
    }
    if (file_) file_->write(current_->content());
    return current_->content();
  }

  Digest finish() {
    if (file_) file_->sync();
    return hasher_.finish();
  }
  // Gives back what is still queued, so that the stages before never wait for buffers.
  void drain() {
    if (current_) recycle(*std::exchange(current_, std::nullopt));
    while (auto buffer = pipeline_.tar_.pop())
      recycle(std::move(*buffer));
  }

 private:
  Pipeline& pipeline_;
  Hasher hasher_{DigestAlgorithm::sha512};
  std::optional<OutputFile> file_;
  std::optional<Buffer> current_;
};

Pipeline::Pipeline(const PipelineJob& job)
    : job_(job), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!wake_) throwErrno("making an eventfd");
  const auto fill = [](BufferQueue& queue, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      // Left as it comes: every byte is written before it is read.
      queue.push(Buffer{std::make_unique_for_overwrite<std::byte[]>(kBufferBytes), 0, &queue});
    }
  };
  fill(distributedFree_, kDistributedBuffers);
  fill(tarFree_, kTarBuffers);
}

void Pipeline::checkSize(std::uint64_t total) const {
  if (job_.size && total > *job_.size) {
    throw LimitError(
        fmt::format("there are more bytes than the {} that were announced", *job_.size));
  }
  if (total > job_.limits.distributedBytes) {
    throw LimitError(fmt::format("the file is larger than the limit of {}",
                                 formatByteSize(job_.limits.distributedBytes)),
                     "raise --max-distributed-size if it is meant to be");
  }
}

void Pipeline::checkInflated() const {
  if (inflated_ > job_.limits.tarBytes) {
    throw LimitError(
        fmt::format("the tar is larger than the limit of {}", formatByteSize(job_.limits.tarBytes)),
        "raise --max-tar-size if it is meant to be");
  }
  if (inflated_ > job_.limits.inflateFloor && inflated_ / job_.limits.inflateRatio > fed_) {
    throw LimitError(
        fmt::format("{} inflate to more than {}, over {} times as much: a decompression bomb",
                    formatByteSize(fed_), formatByteSize(inflated_), job_.limits.inflateRatio),
        "raise --max-inflate-ratio if it is meant to be");
  }
}

// Fills `room` with what is in the data file from `offset` on.
std::size_t Pipeline::readData(std::span<std::byte> room, std::uint64_t offset) const {
  std::size_t have = 0;
  while (have < room.size()) {
    const ssize_t got = ::pread(job_.data, room.data() + have, room.size() - have,
                                static_cast<off_t>(offset + have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throwErrno("reading " + job_.dataName);
    if (got == 0) throw Error(job_.dataName + " became shorter while it was read");
    have += static_cast<std::size_t>(got);
  }
  return have;
}

// What was in the data file already, from `offset` on, as far as it fits.
std::size_t Pipeline::fillFromData(const Buffer& buffer, std::uint64_t offset) const {
  const auto want =
      static_cast<std::size_t>(std::min<std::uint64_t>(kBufferBytes, job_.resumed - offset));
  return readData(buffer.room().first(want), offset);
}

void Pipeline::throwEarlyEnd(std::uint64_t total) const {
  throw EarlyEndError(fmt::format("the input ends after {} of the {} bytes that were announced",
                                  total, *job_.size));
}

// Until so many bytes are in the data file.
void Pipeline::awaitData(std::uint64_t bytes) {
  while (arrived_ < bytes) {
    const auto arrived = job_.arrivals->wait(arrived_, wake_.get());
    if (!arrived) throw Stopped{};
    if (*arrived <= arrived_) throwEarlyEnd(arrived_);
    arrived_ = *arrived;
  }
}

// What was read when it could still be changed is as it was then.
void Pipeline::settle() {
  if (!job_.arrivals->settle(wake_.get())) throw Stopped{};
  if (!recheck_) return;
  Mac again = recheck_->again();
  const auto room = std::make_unique_for_overwrite<std::byte[]>(kBufferBytes);
  for (std::uint64_t offset = 0; offset < recheck_->size();) {
    const auto size =
        static_cast<std::size_t>(std::min<std::uint64_t>(kBufferBytes, recheck_->size() - offset));
    offset += readData({room.get(), size}, offset);
    again.update({room.get(), size});
  }
  if (!recheck_->agrees(std::move(again)))
    throw UnsettledError("bytes were changed after they were read");
}

// `bytes` are those at `offset`, and in the data file: until the verifier has started they wait
// there.
void Pipeline::verify(std::span<const std::byte> bytes, std::uint64_t offset) {
  if (job_.session == nullptr || !job_.session->ready()) return;
  verifyUpTo(offset);
  job_.session->update(bytes);
  verified_ = offset + bytes.size();
}

void Pipeline::verifyUpTo(std::uint64_t offset) {
  if (job_.session == nullptr || verified_ == offset) return;
  const auto room = std::make_unique_for_overwrite<std::byte[]>(kBufferBytes);
  while (verified_ < offset) {
    const auto size =
        static_cast<std::size_t>(std::min<std::uint64_t>(kBufferBytes, offset - verified_));
    readData({room.get(), size}, verified_);
    job_.session->update({room.get(), size});
    verified_ += size;
  }
}

// Fills `room` unless the input ends. `interrupted`: what is there is all there will be.
std::size_t Pipeline::fillFromInput(std::span<std::byte> room, bool& interrupted) const {
  std::size_t have = 0;
  while (have < room.size()) {
    std::array<pollfd, 3> waiting{
        {{job_.input, POLLIN, 0}, {wake_.get(), POLLIN, 0}, {job_.interruptFd, POLLIN, 0}}};
    if (::poll(waiting.data(), waiting.size(), -1) < 0) {
      if (errno == EINTR) continue;
      throwErrno("waiting for " + job_.inputName);
    }
    if (waiting[1].revents != 0) throw Stopped{};
    // Before the input: a sender that gives up says so, then closes the pipe.
    if (waiting[2].revents != 0) {
      interrupted = true;
      break;
    }

    const std::size_t got = readSome(job_.input, room.subspan(have), job_.inputName);
    if (got == 0) break;
    have += got;
  }
  return have;
}

bool Pipeline::isInterrupted() const {
  pollfd interrupt{job_.interruptFd, POLLIN, 0};
  return ::poll(&interrupt, 1, 0) > 0;
}

void Pipeline::readInput() {
  Hasher hasher(DigestAlgorithm::sha256);
  OutputFile file(job_.data, job_.dataName, job_.resumed);
  std::uint64_t total = 0;
  checkSize(job_.resumed);
  if (::lseek(job_.data, static_cast<off_t>(job_.resumed), SEEK_SET) < 0) {
    throwErrno("positioning " + job_.dataName);
  }
  for (;;) {
    auto buffer = distributedFree_.pop();
    if (!buffer) throw Stopped{};
    // Every buffer but the last is full, also where the input continues what was there: the
    // first one has to be long enough to tell the encoding by.
    if (job_.arrivals != nullptr) awaitData(std::min(total + kBufferBytes, job_.resumed));
    const bool changeable = job_.arrivals != nullptr && !job_.arrivals->settled();
    const std::size_t stored = total < job_.resumed ? fillFromData(*buffer, total) : 0;
    bool interrupted = false;
    const auto room = buffer->room().subspan(stored);
    const std::size_t fresh = fillFromInput(room, interrupted);
    buffer->size = stored + fresh;
    if (fresh > 0) {
      // The limit first: what is over it must not be kept.
      checkSize(total + buffer->size);
      file.write(room.first(fresh));
    }
    if (interrupted) throw Interrupted();
    if (buffer->size == 0) break;
    total += buffer->size;
    if (changeable && stored > 0) {
      if (!recheck_) recheck_.emplace();
      recheck_->note(buffer->content());
    }
    hasher.update(buffer->content());
    verify(buffer->content(), total - buffer->size);
    if (job_.onProgress) job_.onProgress(total);
    if (!distributed_.push(std::move(*buffer))) throw Stopped{};
    // Before what is behind them is looked for: it is there only then.
    if (job_.arrivals != nullptr && total == job_.resumed) settle();
  }
  distributedSize_ = total;
  distributed_.close();
  if (job_.size && total < *job_.size) throwEarlyEnd(total);
  if (total == 0) throw EarlyEndError("the input is empty");
  distributedDigest_ = hasher.finish();
  verifyUpTo(total);
  file.sync();
  if (job_.session != nullptr) {
    try {
      signers_ = job_.session->finish();
    } catch (const TrustError&) {
      const std::lock_guard lock(failureMutex_);
      unsigned_ = std::current_exception();
    }
  }
}

void Pipeline::beginInflate(std::span<const std::byte> head) {
  encoding_ = detectEncoding(head);
  inflater_ = makeInflater(encoding_, job_.limits.xzMemory);
  if (!inflater_) return;
  tarFd_ = openFile(job_.tar.string(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  auto buffer = tarFree_.pop();
  if (!buffer) throw Stopped{};
  output_ = std::move(*buffer);
  output_.size = 0;
}

void Pipeline::inflateBuffer(const Buffer& input) {
  auto rest = input.content();
  for (;;) {
    const Inflater::Step done = inflater_->step(rest, output_.room().subspan(output_.size));
    rest = rest.subspan(done.consumed);
    output_.size += done.produced;
    inflated_ += done.produced;
    if (output_.size < kBufferBytes) {
      if (!rest.empty()) throw Error("the inflater stands still");
      return;
    }
    checkInflated();
    if (!tar_.push(std::move(output_))) throw Stopped{};
    auto fresh = tarFree_.pop();
    if (!fresh) throw Stopped{};
    output_ = std::move(*fresh);
    output_.size = 0;
  }
}

void Pipeline::endInflate() {
  if (!inflater_) return;
  inflater_->finish();
  checkInflated();
  if (output_.size > 0 && !tar_.push(std::move(output_))) throw Stopped{};
}

void Pipeline::inflateAll() {
  bool first = true;
  while (auto buffer = distributed_.pop()) {
    if (refused_) {
      recycle(std::move(*buffer));
      continue;
    }
    fed_ += buffer->size;
    guarded([&] {
      if (std::exchange(first, false)) beginInflate(buffer->content());
      if (inflater_) {
        inflateBuffer(*buffer);
      } else {
        inflated_ += buffer->size;
        checkInflated();
        if (!tar_.push(std::move(*buffer))) throw Stopped{};
      }
    });
    if (buffer->bytes) recycle(std::move(*buffer));
  }
  if (!refused_ && !stopped_) guarded([&] { endInflate(); });
  tar_.close();
}

void Pipeline::checkTar() {
  TarSource source(*this);
  const bool good = guarded([&] {
    summary_ = checkAci(source, job_.limits.aci);
    tarDigest_ = source.finish();
  });
  if (!good) source.drain();
}

bool Pipeline::guarded(const std::function<void()>& stage) {
  const auto keep = [this](std::exception_ptr& slot) {
    const std::lock_guard lock(failureMutex_);
    if (!slot) slot = std::current_exception();
  };
  try {
    stage();
    return true;
  } catch (const Stopped&) {
    return false;
  } catch (const Interrupted&) {
    keep(interrupted_);
  } catch (const LimitError&) {
    keep(fatal_);
  } catch (const EarlyEndError&) {
    keep(early_);
    refused_ = true;
    return false;
  } catch (const TrustError&) {
    keep(content_);
    refused_ = true;
    // Of a signed file the verifier knows the deeper reason, once it has seen all.
    if (job_.session != nullptr) return false;
  } catch (...) {
    keep(fatal_);
  }
  stopNow();
  return false;
}

void Pipeline::stopNow() {
  stopped_ = true;
  for (BufferQueue* queue : {&distributedFree_, &distributed_, &tarFree_, &tar_})
    queue->cancel();
  const std::uint64_t one = 1;
  // A full counter is as readable as any other, so a failure changes nothing.
  if (::write(wake_.get(), &one, sizeof one) < 0) return;
}

PipelineResult Pipeline::run() {
  {
    const std::jthread inflating([this] { inflateAll(); });
    const std::jthread checking([this] { checkTar(); });
    guarded([this] { readInput(); });
    distributed_.close();
  }
  // What was told to stop tells nothing of the bytes: whatever failed then may have been told too.
  const bool failed = interrupted_ || fatal_ || early_ || unsigned_ || content_;
  if (failed && isInterrupted()) throw Interrupted();
  for (const auto& failure : {interrupted_, fatal_, early_, unsigned_, content_}) {
    if (failure) std::rethrow_exception(failure);
  }
  return PipelineResult{.encoding = encoding_,
                        .distributed = std::move(*distributedDigest_),
                        .distributedSize = distributedSize_,
                        .tar = std::move(*tarDigest_),
                        .summary = std::move(*summary_),
                        .signers = std::move(signers_)};
}

}  // namespace

PipelineResult runPipeline(const PipelineJob& job) {
  return Pipeline(job).run();
}

}  // namespace actool::cas
