#include "run/vm/wire.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "core/base/error.h"

namespace actool::run::vm {
namespace {

constexpr std::size_t kHeader = 7;
constexpr std::string_view kKinds = "JIWSTUROEXFD";

unsigned byteAt(std::string_view text, std::size_t at) {
  return static_cast<unsigned char>(text[at]);
}

}  // namespace

std::string encodeFrame(FrameKind kind, std::uint16_t job, std::string_view payload) {
  std::string text(1, static_cast<char>(kind));
  for (int shift = 0; shift < 16; shift += 8)
    text.push_back(static_cast<char>(job >> shift & 0xff));
  for (int shift = 0; shift < 32; shift += 8)
    text.push_back(static_cast<char>(payload.size() >> shift & 0xff));
  return text.append(payload);
}

std::optional<Frame> takeFrame(std::string& buffer) {
  if (buffer.size() < kHeader) return std::nullopt;
  if (kKinds.find(buffer[0]) == std::string_view::npos) {
    throw Error("a message of an unknown kind came over the virtual machine's port");
  }
  std::size_t length = 0;
  for (std::size_t i = 0; i < 4; ++i)
    length |= static_cast<std::size_t>(byteAt(buffer, 3 + i)) << (8 * i);
  if (length > kMaxFramePayload) {
    throw Error("a message of " + std::to_string(length) +
                " bytes came over the virtual machine's port");
  }
  if (buffer.size() < kHeader + length) return std::nullopt;
  Frame frame{static_cast<FrameKind>(buffer[0]),
              static_cast<std::uint16_t>(byteAt(buffer, 1) | byteAt(buffer, 2) << 8),
              buffer.substr(kHeader, length)};
  buffer.erase(0, kHeader + length);
  return frame;
}

Link::Link(UniqueFd fd) : fd_(std::move(fd)) {
  if (::fcntl(fd_.get(), F_SETFL, O_NONBLOCK) != 0) throwErrno("setting up the machine's port");
}

short Link::events(bool wanted) const {
  return static_cast<short>((wanted ? POLLIN : 0) | (out_.empty() ? 0 : POLLOUT));
}

void Link::send(FrameKind kind, std::uint16_t job, std::string_view payload) {
  out_ += encodeFrame(kind, job, payload);
  flush();
}

void Link::flush() {
  std::size_t done = 0;
  while (done < out_.size()) {
    const ssize_t count = ::write(fd_.get(), out_.data() + done, out_.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;  // full, or gone, which fill() will see
    done += static_cast<std::size_t>(count);
  }
  out_.erase(0, done);
}

bool Link::fill() {
  std::array<char, 65536> piece{};
  const ssize_t count = ::read(fd_.get(), piece.data(), piece.size());
  if (count > 0) in_.append(piece.data(), static_cast<std::size_t>(count));
  return count > 0 || (count < 0 && (errno == EINTR || errno == EAGAIN));
}

}  // namespace actool::run::vm
