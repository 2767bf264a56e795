#include "run/native/stdio.h"

#include <linux/close_range.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <string>

#include "core/base/error.h"
#include "core/base/strings.h"

namespace actool::run::native {
namespace {

constexpr std::array<const char*, 3> kAnnotations = {
    "coreos.com/rkt/stage2/stdin", "coreos.com/rkt/stage2/stdout", "coreos.com/rkt/stage2/stderr"};

StdioMode parseMode(std::string_view word, bool output) {
  if (word == "interactive") return StdioMode::inherit;
  if (word == "null") return StdioMode::null;
  if (word == "log" && output) return StdioMode::log;
  if (word == "stream") return StdioMode::stream;
  if (word == "tty") return StdioMode::tty;
  throw Error("\"" + printable(word) + "\" is no mode of a standard stream",
              output ? "the modes are null, log, stream, tty and interactive"
                     : "the modes are null, stream, tty and interactive");
}

void closeFromTo(unsigned first, unsigned last) {
  if (first > last) return;
  if (::close_range(first, last, 0) != 0) throwErrno("closing descriptors");
}

}  // namespace

StdioModes stdioModes(const schema::Annotations& annotations) {
  StdioModes modes{};
  for (std::size_t i = 0; i < modes.size(); ++i) {
    const auto value = annotations.get(kAnnotations[i]);
    if (!value) continue;
    modes[i] = withContext(kAnnotations[i], [&] { return parseMode(*value, i != 0); });
  }
  return modes;
}

void closeAllBut(std::vector<int> keep) {
  std::sort(keep.begin(), keep.end());
  unsigned next = STDERR_FILENO + 1;
  for (const int fd : keep) {
    if (fd < static_cast<int>(next)) continue;
    closeFromTo(next, static_cast<unsigned>(fd) - 1);
    next = static_cast<unsigned>(fd) + 1;
  }
  closeFromTo(next, UINT_MAX);
}

}  // namespace actool::run::native
