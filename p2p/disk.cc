#include "p2p/disk.h"

#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include <libtorrent/add_torrent_params.hpp>
#include <libtorrent/disk_buffer_holder.hpp>
#include <libtorrent/disk_observer.hpp>
#include <libtorrent/error_code.hpp>
#include <libtorrent/file_storage.hpp>
#include <libtorrent/hasher.hpp>
#include <libtorrent/io_context.hpp>
#include <libtorrent/peer_request.hpp>
#include <libtorrent/performance_counters.hpp>
#include <libtorrent/settings_pack.hpp>

#include "core/base/error.h"

namespace actool::p2p {

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kBlockBytes = 16 << 10;
// What peers may send ahead of the disk. Above the first they are told to wait, below the second to
// go on: a fetch stays within its memory.
constexpr std::size_t kMostQueuedBytes = 8 << 20;
constexpr std::size_t kFewQueuedBytes = 4 << 20;
// A write that takes longer waits for the disk. Then writes are queued for some time.
constexpr std::chrono::milliseconds kSlowWrite{5};
constexpr std::chrono::seconds kSlowTime{2};
// Of a file that is not the image.
constexpr std::int64_t kMostOtherBytes = 1 << 20;

lt::storage_error failure(int code, lt::operation_t operation) {
  lt::storage_error error;
  error.ec = lt::error_code(code, lt::generic_category());
  error.operation = operation;
  return error;
}

lt::storage_error abortedError() {
  return failure(ECANCELED, lt::operation_t::unknown);
}

// A thread that does one thing after the other.
class Worker {
 public:
  Worker() : thread_([this] { run(); }) {}
  ~Worker() { stop(); }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void add(std::function<void()> job) {
    const std::lock_guard lock(mutex_);
    jobs_.push_back(std::move(job));
    changed_.notify_one();
  }
  // Does what is queued first.
  void stop() {
    {
      const std::lock_guard lock(mutex_);
      if (std::exchange(stopping_, true)) return;
      changed_.notify_one();
    }
    thread_.join();
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
      if (jobs_.empty()) return;
      auto job = std::move(jobs_.front());
      jobs_.pop_front();
      lock.unlock();
      job();
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> jobs_;
  bool stopping_ = false;
  std::thread thread_;
};

bool readAt(int fd, char* to, std::size_t size, std::int64_t offset) {
  while (size > 0) {
    const ssize_t got = ::pread(fd, to, size, offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return false;
    if (got == 0) {
      // Of a file that is still growing.
      std::memset(to, 0, size);
      return true;
    }
    to += got;
    size -= static_cast<std::size_t>(got);
    offset += got;
  }
  return true;
}

// What is in memory alone; false otherwise, or where the file system can't tell.
bool readCached(int fd, char* to, std::size_t size, std::int64_t offset) {
  const iovec part{to, size};
  ssize_t got = ::preadv2(fd, &part, 1, offset, RWF_NOWAIT);
  if (got < 0 && errno == EOPNOTSUPP) {
    struct statfs system {};
    if (::fstatfs(fd, &system) == 0 && system.f_type == TMPFS_MAGIC) {
      got = ::pread(fd, to, size, offset);
    }
  }
  return got == static_cast<ssize_t>(size);
}

bool writeAt(int fd, const char* from, std::size_t size, std::int64_t offset) {
  while (size > 0) {
    const ssize_t done = ::pwrite(fd, from, size, offset);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return false;
    from += done;
    size -= static_cast<std::size_t>(done);
    offset += done;
  }
  return true;
}

}  // namespace

void TorrentBytes::attach(int imageFile, UniqueFd readable, UniqueFd writable, bool mayHaveData) {
  std::function<void(bool)> waiting;
  {
    const std::lock_guard lock(mutex_);
    imageFile_ = imageFile;
    readable_ = std::make_shared<const UniqueFd>(std::move(readable));
    if (writable) writable_ = std::make_shared<const UniqueFd>(std::move(writable));
    mayHaveData_ = mayHaveData;
    waiting = std::exchange(onAttached_, nullptr);
  }
  if (waiting) waiting(true);
}

void TorrentBytes::seal() {
  const std::lock_guard lock(mutex_);
  writable_.reset();
}

std::string TorrentBytes::other(int file) const {
  const std::lock_guard lock(mutex_);
  const auto found = others_.find(file);
  return found == others_.end() ? std::string() : found->second;
}

void BytesRegistry::add(std::shared_ptr<TorrentBytes> bytes) {
  const std::lock_guard lock(mutex_);
  bytes_[bytes->key()] = std::move(bytes);
}

void BytesRegistry::remove(const std::string& key) {
  const std::lock_guard lock(mutex_);
  bytes_.erase(key);
}

std::shared_ptr<TorrentBytes> BytesRegistry::find(const std::string& key) const {
  const std::lock_guard lock(mutex_);
  const auto found = bytes_.find(key);
  return found == bytes_.end() ? nullptr : found->second;
}

class Disk final : public lt::disk_interface, public lt::buffer_allocator_interface {
 public:
  Disk(lt::io_context& io, const BytesRegistry& registry) : io_(io), registry_(registry) {}

  lt::storage_holder new_torrent(const lt::storage_params& params,
                                 const std::shared_ptr<void>&) override {
    const lt::storage_index_t index{nextIndex_++};
    auto storage = std::make_shared<Storage>(params.files, registry_.find(params.path));
    const std::lock_guard lock(storagesMutex_);
    storages_[index] = std::move(storage);
    return {index, *this};
  }

  void remove_torrent(lt::storage_index_t index) override {
    const std::lock_guard lock(storagesMutex_);
    storages_.erase(index);
  }

  void async_read(lt::storage_index_t index, const lt::peer_request& request,
                  std::function<void(lt::disk_buffer_holder, const lt::storage_error&)> handler,
                  lt::disk_job_flags_t) override {
    auto storage = find(index);
    auto* buffer = static_cast<char*>(std::malloc(kBlockBytes));
    auto answer = [this, buffer, length = request.length,
                   handler = std::move(handler)](const lt::storage_error& error) mutable {
      post([this, buffer, length, error, handler = std::move(handler)]() mutable {
        handler(lt::disk_buffer_holder(*this, buffer, length), error);
      });
    };
    if (!storage || buffer == nullptr) return answer(abortedError());
    if (!transfer(*storage, request.piece, request.start, request.length, buffer, nullptr,
                  Waiting::no)) {
      return answer({});
    }
    reader_.add([this, storage = std::move(storage), request, buffer,
                 answer = std::move(answer)]() mutable {
      answer(transfer(*storage, request.piece, request.start, request.length, buffer, nullptr));
    });
  }

  bool async_write(lt::storage_index_t index, const lt::peer_request& request, const char* buffer,
                   std::shared_ptr<lt::disk_observer> observer,
                   std::function<void(const lt::storage_error&)> handler,
                   lt::disk_job_flags_t) override {
    auto storage = find(index);
    if (storage && writesAtOnce()) {
      const Clock::time_point begun = Clock::now();
      const lt::storage_error error =
          transfer(*storage, request.piece, request.start, request.length, nullptr, buffer);
      const Clock::time_point done = Clock::now();
      if (done - begun > kSlowWrite) slowUntil_ = done + kSlowTime;
      post([error, handler = std::move(handler)] { handler(error); });
      return false;
    }
    const auto size = static_cast<std::size_t>(request.length);
    auto copy = std::make_shared_for_overwrite<char[]>(size);
    std::memcpy(copy.get(), buffer, size);
    bool full = false;
    {
      const std::lock_guard lock(queueMutex_);
      queuedBytes_ += size;
      full = queuedBytes_ > kMostQueuedBytes;
      if (full && observer) waiting_.push_back(std::move(observer));
    }
    writer_.add([this, storage = std::move(storage), request, copy = std::move(copy), size,
                 handler = std::move(handler)]() mutable {
      lt::storage_error error = abortedError();
      if (storage) {
        error =
            transfer(*storage, request.piece, request.start, request.length, nullptr, copy.get());
      }
      copy.reset();
      written(size);
      post([error, handler = std::move(handler)] { handler(error); });
    });
    return full;
  }

  void async_hash(
      lt::storage_index_t index, lt::piece_index_t piece, lt::span<lt::sha256_hash> v2,
      lt::disk_job_flags_t flags,
      std::function<void(lt::piece_index_t, const lt::sha1_hash&, const lt::storage_error&)>
          handler) override {
    const bool v1 = static_cast<bool>(flags & lt::disk_interface::v1_hash);
    writer_.add([this, storage = find(index), piece, v2, v1, handler = std::move(handler)] {
      lt::storage_error error = abortedError();
      lt::sha1_hash hash;
      if (storage) error = hashPiece(*storage, piece, v2, v1, hash);
      post([piece, hash, error, handler] { handler(piece, hash, error); });
    });
  }

  void async_hash2(
      lt::storage_index_t index, lt::piece_index_t piece, int offset, lt::disk_job_flags_t,
      std::function<void(lt::piece_index_t, const lt::sha256_hash&, const lt::storage_error&)>
          handler) override {
    reader_.add([this, storage = find(index), piece, offset, handler = std::move(handler)] {
      lt::storage_error error = abortedError();
      lt::sha256_hash hash;
      if (storage) {
        const int length = std::min(kBlockBytes, storage->files.piece_size2(piece) - offset);
        std::vector<char> block(static_cast<std::size_t>(std::max(length, 0)));
        error = transfer(*storage, piece, offset, length, block.data(), nullptr);
        hash = lt::hasher256(block).final();
      }
      post([piece, hash, error, handler] { handler(piece, hash, error); });
    });
  }

  void async_check_files(
      lt::storage_index_t index, const lt::add_torrent_params* resume,
      lt::aux::vector<std::string, lt::file_index_t>,
      std::function<void(lt::status_t, const lt::storage_error&)> handler) override {
    const auto storage = find(index);
    const bool known = resume != nullptr && !resume->have_pieces.empty();
    if (!storage) {
      post([handler] { handler(lt::status_t::fatal_disk_error, abortedError()); });
      return;
    }
    TorrentBytes& bytes = *storage->bytes;
    const auto answer = [this, &bytes, storage, known,
                         handler = std::move(handler)](bool attached) {
      if (!attached) {
        post([handler] { handler(lt::status_t::fatal_disk_error, abortedError()); });
        return;
      }
      bool check = false;
      {
        const std::lock_guard lock(bytes.mutex_);
        check = bytes.mayHaveData_ && !known;
      }
      storage->checking = check;
      post([check, handler] {
        handler(check ? lt::status_t::need_full_check : lt::status_t::no_error, {});
      });
    };
    {
      const std::lock_guard lock(bytes.mutex_);
      if (!bytes.readable_) {
        bytes.onAttached_ = answer;
        return;
      }
    }
    answer(true);
  }

  void async_stop_torrent(lt::storage_index_t index, std::function<void()> handler) override {
    if (const auto storage = find(index)) stopWaiting(*storage->bytes);
    afterWrites(std::move(handler));
  }
  void async_release_files(lt::storage_index_t, std::function<void()> handler) override {
    afterWrites(std::move(handler));
  }
  void async_clear_piece(lt::storage_index_t, lt::piece_index_t piece,
                         std::function<void(lt::piece_index_t)> handler) override {
    afterWrites([piece, handler = std::move(handler)] { handler(piece); });
  }
  void async_delete_files(lt::storage_index_t, lt::remove_flags_t,
                          std::function<void(const lt::storage_error&)> handler) override {
    // They are not ours.
    afterWrites([handler = std::move(handler)] { handler({}); });
  }
  void async_move_storage(
      lt::storage_index_t, std::string path, lt::move_flags_t,
      std::function<void(lt::status_t, const std::string&, const lt::storage_error&)> handler)
      override {
    post([path = std::move(path), handler = std::move(handler)] {
      handler(lt::status_t::fatal_disk_error, path, failure(ENOTSUP, lt::operation_t::unknown));
    });
  }
  void async_rename_file(
      lt::storage_index_t, lt::file_index_t file, std::string name,
      std::function<void(const std::string&, lt::file_index_t, const lt::storage_error&)> handler)
      override {
    post([file, name = std::move(name), handler = std::move(handler)] {
      handler(name, file, failure(ENOTSUP, lt::operation_t::unknown));
    });
  }
  void async_set_file_priority(
      lt::storage_index_t, lt::aux::vector<lt::download_priority_t, lt::file_index_t> priorities,
      std::function<void(const lt::storage_error&,
                         lt::aux::vector<lt::download_priority_t, lt::file_index_t>)>
          handler) override {
    post([priorities = std::move(priorities), handler = std::move(handler)] {
      handler({}, priorities);
    });
  }

  void update_stats_counters(lt::counters&) const override {}
  std::vector<lt::open_file_state> get_status(lt::storage_index_t) const override { return {}; }

  void abort(bool wait) override {
    if (!wait) return;
    writer_.stop();
    reader_.stop();
  }
  void submit_jobs() override {}
  void settings_updated() override {}

  void free_disk_buffer(char* buffer) override { std::free(buffer); }

 private:
  struct Storage {
    Storage(const lt::file_storage& place, std::shared_ptr<TorrentBytes> content)
        : files(place), bytes(std::move(content)) {}
    // A copy, as the torrent may go while its last requests are worked on.
    const lt::file_storage files;
    const std::shared_ptr<TorrentBytes> bytes;
    std::atomic<bool> checking = false;
  };

  // Nothing for a torrent whose bytes nobody registered: it fails its check.
  std::shared_ptr<Storage> find(lt::storage_index_t index) const {
    const std::lock_guard lock(storagesMutex_);
    const auto found = storages_.find(index);
    return found == storages_.end() || !found->second->bytes ? nullptr : found->second;
  }

  // Hands several answers to the session's thread at once.
  void post(std::function<void()> handler) {
    {
      const std::lock_guard lock(postMutex_);
      posted_.push_back(std::move(handler));
      if (posted_.size() > 1) return;
    }
    boost::asio::post(io_, [this] {
      std::vector<std::function<void()>> now;
      {
        const std::lock_guard lock(postMutex_);
        now.swap(posted_);
      }
      for (auto& one : now)
        one();
    });
  }

  // What waits for the bytes holds the torrent, which would never go.
  static void stopWaiting(TorrentBytes& bytes) {
    std::function<void(bool)> waiting;
    {
      const std::lock_guard lock(bytes.mutex_);
      waiting = std::exchange(bytes.onAttached_, nullptr);
    }
    if (waiting) waiting(false);
  }

  void afterWrites(std::function<void()> handler) {
    if (!handler) return;
    writer_.add([this, handler = std::move(handler)] { post(handler); });
  }

  bool writesAtOnce() const {
    if (Clock::now() < slowUntil_) return false;
    const std::lock_guard lock(queueMutex_);
    return queuedBytes_ == 0;
  }

  void written(std::size_t size) {
    std::vector<std::shared_ptr<lt::disk_observer>> resumed;
    {
      const std::lock_guard lock(queueMutex_);
      queuedBytes_ -= size;
      if (queuedBytes_ <= kFewQueuedBytes) resumed.swap(waiting_);
    }
    if (resumed.empty()) return;
    post([resumed = std::move(resumed)] {
      for (const auto& observer : resumed)
        observer->on_disk();
    });
  }

  enum class Waiting { yes, no };

  // Reads into `to` or writes from `from` the bytes of a piece, wherever they lie. Without waiting
  // it is an error that they are not in memory.
  lt::storage_error transfer(Storage& storage, lt::piece_index_t piece, int start, int length,
                             char* to, const char* from, Waiting waiting = Waiting::yes) const {
    if (length <= 0) return {};
    TorrentBytes& bytes = *storage.bytes;
    std::size_t at = 0;
    for (const lt::file_slice& slice : storage.files.map_block(piece, start, length)) {
      const auto size = static_cast<std::size_t>(slice.size);
      const int file = static_cast<int>(slice.file_index);
      std::shared_ptr<const UniqueFd> readable;
      std::shared_ptr<const UniqueFd> writable;
      {
        const std::lock_guard lock(bytes.mutex_);
        if (file == bytes.imageFile_) {
          readable = bytes.readable_;
          writable = bytes.writable_;
        }
      }
      if (!readable) {
        transferOther(storage, slice, to == nullptr ? nullptr : to + at,
                      from == nullptr ? nullptr : from + at);
      } else if (to != nullptr) {
        const auto read = waiting == Waiting::yes ? readAt : readCached;
        if (!read(readable->get(), to + at, size, slice.offset)) {
          return failure(errno, lt::operation_t::file_read);
        }
      } else {
        if (!writable) return failure(EROFS, lt::operation_t::file_write);
        storage.checking = false;
        if (!writeAt(writable->get(), from + at, size, slice.offset)) {
          return failure(errno, lt::operation_t::file_write);
        }
      }
      at += size;
    }
    return {};
  }

  static void transferOther(Storage& storage, const lt::file_slice& slice, char* to,
                            const char* from) {
    const auto size = static_cast<std::size_t>(slice.size);
    const bool kept = !storage.files.pad_file_at(slice.file_index) &&
                      storage.files.file_size(slice.file_index) <= kMostOtherBytes;
    if (to != nullptr) std::memset(to, 0, size);
    if (!kept) return;
    const std::lock_guard lock(storage.bytes->mutex_);
    std::string& content = storage.bytes->others_[static_cast<int>(slice.file_index)];
    content.resize(static_cast<std::size_t>(storage.files.file_size(slice.file_index)));
    char* place = content.data() + slice.offset;
    if (to != nullptr) {
      std::memcpy(to, place, size);
    } else {
      std::memcpy(place, from, size);
    }
  }

  // While what an earlier fetch left is checked: nothing was ever written there.
  bool isHole(Storage& storage, lt::piece_index_t piece, int size) const {
    if (!storage.checking || storage.files.num_files() != 1) return false;
    const std::lock_guard lock(storage.bytes->mutex_);
    const off_t begin = static_cast<off_t>(static_cast<int>(piece)) * storage.files.piece_length();
    const off_t data = ::lseek(storage.bytes->readable_->get(), begin, SEEK_DATA);
    return data < 0 ? errno == ENXIO : data >= begin + size;
  }

  lt::storage_error hashPiece(Storage& storage, lt::piece_index_t piece,
                              lt::span<lt::sha256_hash> v2, bool v1, lt::sha1_hash& hash) {
    const int size1 = v1 ? storage.files.piece_size(piece) : 0;
    const int size2 = v2.empty() ? 0 : storage.files.piece_size2(piece);
    const int size = std::max(size1, size2);
    if (isHole(storage, piece, size)) return {};
    lt::hasher hasher;
    block_.resize(kHashBytes);
    for (int at = 0; at < size; at += kHashBytes) {
      const int length = std::min(kHashBytes, size - at);
      if (auto error = transfer(storage, piece, at, length, block_.data(), nullptr)) return error;
      if (const int part = std::min(length, size1 - at); part > 0) {
        hasher.update(lt::span<const char>(block_.data(), part));
      }
      for (int inner = 0; inner < length && at + inner < size2; inner += kBlockBytes) {
        const int part = std::min(kBlockBytes, size2 - at - inner);
        v2[(at + inner) / kBlockBytes] =
            lt::hasher256(lt::span<const char>(block_.data() + inner, part)).final();
      }
    }
    if (v1) hash = hasher.final();
    return {};
  }

  static constexpr int kHashBytes = 256 << 10;

  lt::io_context& io_;
  const BytesRegistry& registry_;
  Clock::time_point slowUntil_;  // of the session's thread
  mutable std::mutex storagesMutex_;
  std::map<lt::storage_index_t, std::shared_ptr<Storage>> storages_;
  std::uint32_t nextIndex_ = 0;
  std::mutex postMutex_;
  std::vector<std::function<void()>> posted_;
  mutable std::mutex queueMutex_;
  std::size_t queuedBytes_ = 0;
  std::vector<std::shared_ptr<lt::disk_observer>> waiting_;
  std::vector<char> block_;  // of the writer's thread
  // Last, so that they end first.
  Worker writer_;
  Worker reader_;
};

lt::disk_io_constructor_type diskOver(const BytesRegistry& registry) {
  return [&registry](lt::io_context& io, const lt::settings_interface&, lt::counters&) {
    return std::make_unique<Disk>(io, registry);
  };
}

}  // namespace actool::p2p
