#include "run/log_reader.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <array>

#include "core/base/error.h"
#include "core/base/strings.h"

namespace actool::run {
namespace {

// A line is at most 16 kB and its prefix; what is longer is no log of ours.
constexpr std::size_t kMaxLine = 64 << 10;

std::uint64_t inodeOf(int fd) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) throwErrno("looking at a log");
  return info.st_ino;
}

}  // namespace

std::optional<LogLine> LogLine::parse(std::string_view line) {
  const auto word = [&]() -> std::string {
    const std::size_t space = std::min(line.find(' '), line.size());
    std::string taken(line.substr(0, space));
    line.remove_prefix(std::min(space + 1, line.size()));
    return taken;
  };
  LogLine parsed;
  parsed.time = word();
  parsed.stream = word();
  const std::string tag = word();
  if (tag != "F" && tag != "P") return std::nullopt;
  parsed.whole = tag == "F";
  parsed.text = line;
  return parsed;
}

// The older file first, then the newer; later the one that took its place.
bool LogReader::openNext() {
  if (!oldDone_) {
    oldDone_ = true;
    file_ = tryOpen(path_.string() + ".1", O_RDONLY | O_NOFOLLOW);
    if (file_) {
      inode_ = inodeOf(file_.get());
      return true;
    }
  }
  UniqueFd newer = tryOpen(path_, O_RDONLY | O_NOFOLLOW);
  if (!newer) return false;
  const std::uint64_t inode = inodeOf(newer.get());
  if (file_ && inode == inode_) return false;
  inode_ = inode;
  file_ = std::move(newer);
  return true;
}

std::optional<std::string> LogReader::nextText() {
  while (true) {
    const std::size_t newline = buffer_.find('\n');
    if (newline != std::string::npos) {
      std::string line = buffer_.substr(0, newline);
      buffer_.erase(0, newline + 1);
      return line;
    }
    if (buffer_.size() > kMaxLine) throw Error(path_.string() + " is no log: a line is too long");
    std::array<std::byte, 16384> chunk{};
    const std::size_t count = file_ ? readSome(file_.get(), chunk, path_.string()) : 0;
    if (count > 0) {
      buffer_.append(reinterpret_cast<const char*>(chunk.data()), count);
    } else if (!openNext()) {
      return std::nullopt;
    }
  }
}

std::optional<LogLine> LogReader::next() {
  while (std::optional<std::string> text = nextText()) {
    if (std::optional<LogLine> line = LogLine::parse(*text)) return line;
  }
  return std::nullopt;
}

}  // namespace actool::run
