#include "cas/layout/audit.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/own_root.h"
#include "core/base/strings.h"

namespace actool::cas {

namespace {

constexpr std::size_t kMaxTextBytes = 300;
constexpr std::size_t kWriteBytes = 64 << 10;

// What sudo says of who called it. Only a number is taken from the environment.
void addUser(Json& line) {
  line["uid"] = outsideUser(::getuid());
  const char* text = std::getenv("SUDO_UID");
  if (text == nullptr) return;
  constexpr std::uint64_t kMostIds = 0xffffffff;
  const auto sudo = parseUint(text);
  if (sudo && *sudo < kMostIds) line["sudoUid"] = *sudo;
}

std::string lineOf(const StoreLayout& layout, std::string_view tool, const AuditEvent& event,
                   const std::string& now) {
  Json line = event.details;
  line["kind"] = "audit";
  line["at"] = now;
  line["event"] = event.event;
  line["namespace"] = layout.ns().str();
  line["tool"] = tool;
  addUser(line);
  return dumpLine(line) + "\n";
}

// A full disk may have cut the last line; what comes next does not continue it.
bool endsInsideALine(int fd) {
  struct stat info {};
  if (::fstat(fd, &info) != 0 || info.st_size == 0) return false;
  char last = '\n';
  return ::pread(fd, &last, 1, info.st_size - 1) == 1 && last != '\n';
}

void append(int fd, std::string_view lines, const std::string& name) {
  // One call: O_APPEND puts it whole behind what others wrote.
  const ssize_t count = ::write(fd, lines.data(), lines.size());
  if (count < 0) throwErrno("writing " + name);
  if (static_cast<std::size_t>(count) != lines.size()) throw Error(name + ": a line was cut");
}

}  // namespace

void audit(const StoreLayout& layout, std::string_view tool, const std::vector<AuditEvent>& events,
           AuditSync sync) noexcept {
  try {
    if (events.empty() || !actool::exists(layout.dir())) return;
    const std::string name = layout.auditLog().string();
    const UniqueFd fd = openFile(name, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW, 0640);
    const std::string now = formatRfc3339(systemClock().now());
    std::string lines = endsInsideALine(fd.get()) ? "\n" : "";
    for (const AuditEvent& event : events) {
      lines += lineOf(layout, tool, event, now);
      if (lines.size() < kWriteBytes) continue;
      append(fd.get(), lines, name);
      lines.clear();
    }
    if (!lines.empty()) append(fd.get(), lines, name);
    if (sync == AuditSync::yes && ::fdatasync(fd.get()) != 0) throwErrno("flushing " + name);
  } catch (const std::exception& error) {
    log::warn("the audit log lacks what was done: {}", error.what());
  }
}

std::string auditText(std::string_view text) {
  return printable(text, kMaxTextBytes);
}

std::string auditSource(std::string_view source) {
  std::string text(source.substr(0, std::min(source.find_first_of("?#"), source.size())));
  const std::size_t scheme = text.find("://");
  if (scheme == std::string::npos) return auditText(source);  // a path
  const std::size_t authority = scheme + 3;
  const std::size_t path = std::min(text.find('/', authority), text.size());
  const std::size_t at = text.rfind('@', path);
  if (at != std::string::npos && at >= authority) text.erase(authority, at + 1 - authority);
  return auditText(text);
}

}  // namespace actool::cas
