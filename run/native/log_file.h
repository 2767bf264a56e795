// The log of one app: a file of lines, kept small by rotation.
//
//   2026-11-24T06:12:00.123456789Z stdout F a line that the app wrote
//
// is the format that kubelet's CRI gave its container logs: the time, the stream, F for a whole
// line and P for a part of one that was longer than kMaxLine, the text.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "core/base/fd.h"
#include "core/base/fs.h"

namespace actool::run::native {

inline constexpr std::size_t kMaxLogLine = 16 << 10;
// Of `web.log`; with `web.log.1` twice that is the most an app can fill.
inline constexpr std::size_t kMaxLogFile = 10 << 20;

class LogFile {
 public:
  // Appends to `path`, in a directory that exists. `maxBytes` is for tests.
  explicit LogFile(Path path, std::size_t maxBytes = kMaxLogFile);

  // What the app wrote on a stream, cut anywhere. Output that cannot be stored (a full disk) is
  // lost, with one warning: it must not stop the app.
  void write(std::string_view stream, std::string_view bytes);
  // The stream is at its end: an unfinished line is written.
  void finish(std::string_view stream);

 private:
  std::string& pendingOf(std::string_view stream);
  void writeLine(std::string_view stream, char tag, std::string_view text);
  void append(std::string_view line);
  void rotate();

  Path path_;
  std::size_t maxBytes_;
  std::size_t size_ = 0;
  UniqueFd file_;
  std::array<std::string, 2> pending_;  // unfinished lines of stdout and stderr
  bool warned_ = false;
};

}  // namespace actool::run::native
