#include "core/base/log.h"

#include <unistd.h>

#include <atomic>
#include <mutex>
#include <string>

namespace actool::log {
namespace {

std::atomic<bool> debugOn{false};

std::mutex& programMutex() {
  static std::mutex mutex;
  return mutex;
}

std::string& programName() {
  static std::string name = "actool";
  return name;
}

}  // namespace

void setProgram(std::string_view name) {
  const std::lock_guard lock(programMutex());
  programName() = name;
}

void setDebug(bool on) {
  debugOn = on;
}
bool debugEnabled() {
  return debugOn;
}

void writeLine(std::string_view severity, std::string_view text) {
  std::string line;
  {
    const std::lock_guard lock(programMutex());
    line = programName();
  }
  line += ": ";
  if (!severity.empty()) line.append(severity).append(": ");
  line.append(text).push_back('\n');
  std::string_view rest = line;
  while (!rest.empty()) {
    const ssize_t count = ::write(STDERR_FILENO, rest.data(), rest.size());
    if (count <= 0) return;  // nowhere is left to complain to
    rest.remove_prefix(static_cast<std::size_t>(count));
  }
}

}  // namespace actool::log
