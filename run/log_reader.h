// Reading the log files of a pod's apps (run/native/log_file.h has the format).
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/fd.h"
#include "core/base/fs.h"

namespace actool::run {

struct LogLine {
  std::string time;
  std::string stream;
  bool whole = true;  // its end was the app's
  std::string text;

  // Nothing for what is no line of a log.
  static std::optional<LogLine> parse(std::string_view line);
};

// One log: `web.log.1`, then `web.log`, then (when the file was rotated meanwhile) the new one.
class LogReader {
 public:
  explicit LogReader(Path path) : path_(std::move(path)) {}
  // The next line that is there; nothing at the end, where more may come.
  std::optional<LogLine> next();

 private:
  bool openNext();
  std::optional<std::string> nextText();

  Path path_;
  UniqueFd file_;
  bool oldDone_ = false;
  std::uint64_t inode_ = 0;
  std::string buffer_;
};

}  // namespace actool::run
