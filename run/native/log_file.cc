#include "run/native/log_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include <array>
#include <cstdio>

#include "core/base/error.h"
#include "core/base/log.h"

namespace actool::run::native {
namespace {

std::string timeNow() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  tm parts{};
  ::gmtime_r(&now.tv_sec, &parts);
  std::array<char, 64> text{};
  const std::size_t length = ::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  std::array<char, 16> fraction{};
  std::snprintf(fraction.data(), fraction.size(), ".%09ldZ", now.tv_nsec);
  return std::string(text.data(), length) + fraction.data();
}

}  // namespace

LogFile::LogFile(Path path, std::size_t maxBytes) : path_(std::move(path)), maxBytes_(maxBytes) {
  file_ = openFile(path_, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0640);
  struct stat info {};
  if (::fstat(file_.get(), &info) != 0) throwErrno("looking at " + path_.string());
  size_ = static_cast<std::size_t>(info.st_size);
}

std::string& LogFile::pendingOf(std::string_view stream) {
  return pending_[stream == "stderr" ? 1 : 0];
}

void LogFile::write(std::string_view stream, std::string_view bytes) {
  std::string& pending = pendingOf(stream);
  while (!bytes.empty()) {
    const std::size_t newline = bytes.find('\n');
    const std::size_t room = kMaxLogLine - pending.size();
    if (newline != std::string_view::npos && newline <= room) {
      pending.append(bytes.substr(0, newline));
      bytes.remove_prefix(newline + 1);
      writeLine(stream, 'F', pending);
      pending.clear();
    } else if (bytes.size() <= room && newline == std::string_view::npos) {
      pending.append(bytes);
      return;
    } else {
      pending.append(bytes.substr(0, room));
      bytes.remove_prefix(room);
      writeLine(stream, 'P', pending);
      pending.clear();
    }
  }
}

void LogFile::finish(std::string_view stream) {
  std::string& pending = pendingOf(stream);
  if (!pending.empty()) writeLine(stream, 'F', pending);
  pending.clear();
}

void LogFile::writeLine(std::string_view stream, char tag, std::string_view text) {
  std::string line = timeNow();
  line.append(" ").append(stream).append(" ").append(1, tag).append(" ").append(text).append("\n");
  append(line);
}

void LogFile::append(std::string_view line) {
  try {
    if (size_ > 0 && size_ + line.size() > maxBytes_) rotate();
    writeAll(file_.get(), line, path_.string());
    size_ += line.size();
  } catch (const Error& error) {
    if (!warned_) log::warn("output of an app is lost: {}", error.what());
    warned_ = true;
  }
}

void LogFile::rotate() {
  const Path old = path_.string() + ".1";
  if (::rename(path_.c_str(), old.c_str()) != 0) throwErrno("rotating " + path_.string());
  file_ = openFile(path_, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0640);
  size_ = 0;
}

}  // namespace actool::run::native
