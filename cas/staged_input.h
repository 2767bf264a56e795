// The other way for bytes into an ingest: a transport that gets them in any order writes them into
// a file that it was given the descriptor of (docs/ingest-protocol.md, Pieces).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "cas/pipeline.h"
#include "core/base/fd.h"
#include "core/base/fs.h"

namespace actool::cas {

// Opens `file`, making it when it is missing, and sends its descriptor over `socket`; it is closed
// here. Interrupted (pipeline.h) when the transport is gone.
void offerStaged(int socket, const Path& file);

// What the transport says of the file. Everything throws Interrupted (pipeline.h) when
// `interruptFd` becomes readable, or the transport goes away before it said that all is there, and
// Error on what it must not say.
class StagedArrivals final : public Arrivals {
 public:
  // `file` is open for reading, and borrowed, as are the other two. `onPrefix` is given the bytes
  // that are right at the beginning as the transport reports them.
  StagedArrivals(int socket, int interruptFd, int file, std::string name,
                 std::function<void(std::uint64_t)> onPrefix)
      : socket_(socket),
        interruptFd_(interruptFd),
        file_(file),
        name_(std::move(name)),
        onPrefix_(std::move(onPrefix)) {}

  std::optional<std::uint64_t> wait(std::uint64_t known, int wake) override;
  // Throws UnsettledError when the transport said that all is there, and somebody has the file open
  // for writing still.
  bool settle(int wake) override;
  bool settled() const override { return settled_; }

  // Waits for the end, and returns the size of the whole.
  std::uint64_t finish();

 private:
  // False when `wake` became readable. `wake` may be none (-1).
  bool listen(int wake);

  int socket_;
  int interruptFd_;
  int file_;
  std::string name_;
  std::function<void(std::uint64_t)> onPrefix_;
  std::string pending_;
  std::uint64_t prefix_ = 0;
  std::optional<std::uint64_t> size_;  // once all is there
  bool settled_ = false;
};

// Whether no process has `fd` (read-only) open for writing, so that what is read from it now stays.
// False also where the file system can't tell.
bool hasNoWriter(int fd);

}  // namespace actool::cas
