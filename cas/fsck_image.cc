#include "cas/fsck_image.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>

#include "cas/care.h"
#include "cas/store.h"
#include "core/base/digest.h"
#include "core/base/error.h"
#include "trust/verifier.h"

namespace actool::cas {

namespace {

constexpr std::chrono::milliseconds kProgressPeriod{100};

std::uint64_t fileSize(const Path& file) {
  struct stat info {};
  return ::stat(file.c_str(), &info) == 0 ? static_cast<std::uint64_t>(info.st_size) : 0;
}

// Threads that take the next image each until there is none.
class Checkers {
 public:
  Checkers(const StoreReader& reader, const std::vector<schema::ImageId>& ids)
      : reader_(reader), ids_(ids) {
    const std::size_t cores = std::max(1U, std::thread::hardware_concurrency());
    running_ = std::min(cores, ids.size());
    for (std::size_t i = running_; i > 0; --i)
      threads_.emplace_back([this] { work(); });
  }

  // Waits; false when they are done.
  bool wait(std::chrono::milliseconds time) {
    std::unique_lock lock(mutex_);
    done_.wait_for(lock, time, [&] { return running_ == 0; });
    return running_ != 0;
  }

  std::uint64_t bytes() const { return bytes_; }

  std::map<schema::ImageId, std::string> finish() {
    threads_.clear();
    if (failure_) std::rethrow_exception(failure_);
    return std::move(bad_);
  }

 private:
  void work() {
    try {
      for (std::size_t i = next_++; i < ids_.size(); i = next_++) {
        std::string reason;
        try {
          checkImage(reader_, ids_[i]);
        } catch (const Error& error) {
          reason = error.what();
        }
        bytes_ += fileSize(reader_.layout().tarBlob(ids_[i]));
        const std::scoped_lock lock(mutex_);
        if (!reason.empty()) bad_.emplace(ids_[i], std::move(reason));
      }
    } catch (...) {
      const std::scoped_lock lock(mutex_);
      failure_ = std::current_exception();
    }
    const std::scoped_lock lock(mutex_);
    --running_;
    done_.notify_all();
  }

  const StoreReader& reader_;
  const std::vector<schema::ImageId>& ids_;
  std::atomic<std::size_t> next_ = 0;
  std::atomic<std::uint64_t> bytes_ = 0;
  std::mutex mutex_;
  std::condition_variable done_;
  std::size_t running_ = 0;
  std::map<schema::ImageId, std::string> bad_;
  std::exception_ptr failure_;
  std::vector<std::jthread> threads_;
};

}  // namespace

StoredImage readAgreeing(const StoreReader& reader, const schema::ImageId& id) {
  StoredImage image = readWhole(reader.layout(), id);
  const auto manifest = reader.manifest(id);
  if (manifest.name != image.name || manifest.labels != image.labels) {
    throw Error("image.json and manifest have different names or labels");
  }
  if (!image.signature) return image;
  const Path file = reader.layout().signatureFile(id);
  const auto signature = tryReadFile(file, trust::kMaxSignatureBytes);
  if (!signature) throw Error("signature.asc is missing");
  if (digestOf(DigestAlgorithm::sha256, *signature) != image.signature->digest) {
    throw Error(file.string() + " is not the signature that was checked");
  }
  return image;
}

void checkImage(const StoreReader& reader, const schema::ImageId& id) {
  const StoredImage image = readAgreeing(reader, id);
  verifyTar(reader.layout(), id);
  if (blobsOf(image).size() > 1) {
    verifyBlob(reader.layout(), image.distributed.digest, "the file as distributed");
  }
}

std::map<schema::ImageId, std::string> checkImages(
    const StoreReader& reader, const std::vector<schema::ImageId>& ids,
    const std::function<void(std::uint64_t done, std::uint64_t total)>& onProgress) {
  std::uint64_t total = 0;
  for (const auto& id : ids)
    total += fileSize(reader.layout().tarBlob(id));
  Checkers checkers(reader, ids);
  while (checkers.wait(kProgressPeriod)) {
    if (onProgress) onProgress(checkers.bytes(), total);
  }
  if (onProgress) onProgress(total, total);
  return checkers.finish();
}

}  // namespace actool::cas
