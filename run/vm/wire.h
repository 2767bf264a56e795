// What the host and the guest of a pod's virtual machine tell each other, over one virtio serial
// port.
//
// It is a stream of frames: a byte that says what it is, the job it is about (two bytes), the
// length of what follows (four bytes), both little-endian, and so many bytes. Job 0 is the pod; the
// others are commands that entered it. The guest is not trusted: what it sends is checked by
// takeFrame(), and what a frame says by whoever uses it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/fd.h"

namespace actool::run::vm {

enum class FrameKind : char {
  // To the guest.
  start = 'J',   // a command to enter with: JSON, see EnterRequest
  input = 'I',   // of the job; empty: its end
  size = 'W',    // "rows columns" of the job's terminal
  signal = 'S',  // its number
  // Either way, of the job: so many more bytes that the other side sent were passed on. No side has
  // more than kWindow bytes on the way, so that a reader that is slow never holds up anything else.
  taken = 'T',
  // From the guest.
  up = 'U',      // the pod has a first process; what follows is its isolator report, or nothing
  ready = 'R',   // all its apps have begun
  output = 'O',  // of the job
  errorOutput = 'E',  // of the job
  appExited = 'X',    // "app code"
  failure = 'F',      // "code text": why the job could not be done; `ended` follows
  ended = 'D',        // the job's exit code; nothing of the job comes after it
};

inline constexpr std::uint16_t kPodJob = 0;
inline constexpr std::size_t kWindow = 128 << 10;
// A manifest's worth of a command line, and an isolator report; output comes in smaller pieces.
inline constexpr std::size_t kMaxFramePayload = 1 << 20;

struct Frame {
  FrameKind kind;
  std::uint16_t job = kPodJob;
  std::string payload;
};

std::string encodeFrame(FrameKind kind, std::uint16_t job, std::string_view payload);
// Takes the first frame out of `buffer`; nothing when it is not all there. Throws Error on one of
// an unknown kind, or longer than kMaxFramePayload.
std::optional<Frame> takeFrame(std::string& buffer);

// One end of the stream, over a descriptor that is made non-blocking.
class Link {
 public:
  explicit Link(UniqueFd fd);

  int fd() const { return fd_.get(); }
  // What poll(2) is to wait for: reading when `wanted`, and writing when there is something to
  // write.
  short events(bool wanted) const;
  // Queues a frame; nothing is lost, nothing blocks.
  void send(FrameKind kind, std::uint16_t job, std::string_view payload);
  // Queued, not yet written.
  std::size_t backlog() const { return out_.size(); }
  // Writes what can be written now.
  void flush();
  // Reads what can be read now. False when the other side is gone (what came before it still
  // counts).
  bool fill();
  std::optional<Frame> next() { return takeFrame(in_); }

 private:
  UniqueFd fd_;
  std::string in_;
  std::string out_;
};

}  // namespace actool::run::vm
