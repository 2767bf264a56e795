// A bounded buffer of bytes from one thread to another. The writer waits while it is full,
// the reader while it is empty; either side may leave.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <cstring>
#include <mutex>
#include <span>
#include <vector>

namespace actool::trust {

class ByteRing {
 public:
  explicit ByteRing(std::size_t capacity) : buffer_(capacity) {}

  // False when the reader has left before all of `bytes` was taken over.
  bool write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      std::unique_lock lock(mutex_);
      notFull_.wait(lock, [&] { return filled_ < buffer_.size() || readerLeft_; });
      if (readerLeft_) return false;
      const std::size_t at = (start_ + filled_) % buffer_.size();
      const std::size_t room = std::min(buffer_.size() - filled_, buffer_.size() - at);
      const std::size_t count = std::min(room, bytes.size());
      // Only this thread touches the free part, and the reader can't make it smaller.
      lock.unlock();
      std::memcpy(buffer_.data() + at, bytes.data(), count);
      lock.lock();
      filled_ += count;
      notEmpty_.notify_one();
      bytes = bytes.subspan(count);
    }
    return true;
  }

  // At least one byte; 0 once the writer has finished and all was read.
  std::size_t read(std::span<std::byte> out) {
    std::unique_lock lock(mutex_);
    notEmpty_.wait(lock, [&] { return filled_ > 0 || writerDone_; });
    if (filled_ == 0 || abandoned_) return 0;
    const std::size_t at = start_;
    const std::size_t count = std::min({filled_, buffer_.size() - at, out.size()});
    lock.unlock();
    std::memcpy(out.data(), buffer_.data() + at, count);
    lock.lock();
    start_ = (start_ + count) % buffer_.size();
    filled_ -= count;
    notFull_.notify_one();
    return count;
  }

  void finishWriting() {
    const std::lock_guard lock(mutex_);
    writerDone_ = true;
    notEmpty_.notify_one();
  }
  // What is buffered is dropped: the reader sees the end at once.
  void abandonWriting() {
    const std::lock_guard lock(mutex_);
    writerDone_ = true;
    abandoned_ = true;
    notEmpty_.notify_one();
  }
  void leaveReading() {
    const std::lock_guard lock(mutex_);
    readerLeft_ = true;
    notFull_.notify_one();
  }

 private:
  std::vector<std::byte> buffer_;
  std::mutex mutex_;
  std::condition_variable notFull_;
  std::condition_variable notEmpty_;
  std::size_t start_ = 0;
  std::size_t filled_ = 0;
  bool writerDone_ = false;
  bool abandoned_ = false;
  bool readerLeft_ = false;
};

}  // namespace actool::trust
