#include "run/native/prefetch.h"

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/base/log.h"
#include "run/native/mounts.h"

namespace actool::run::native {
namespace {

constexpr off_t kMost = 2 << 20;

void readAhead(const Path& rootfs, const std::string& program) {
  const UniqueFd root = openFile(rootfs, O_PATH | O_DIRECTORY | O_NOFOLLOW);
  const UniqueFd place = tryOpenInRoot(root.get(), program, O_PATH);
  struct stat info {};
  if (!place || ::fstat(place.get(), &info) != 0 || !S_ISREG(info.st_mode)) return;
  const UniqueFd file = openFile("/proc/self/fd/" + std::to_string(place.get()), O_RDONLY);
  // Sent to nowhere, not read ahead by posix_fadvise(2): the page cache gets larger and larger
  // folios that way, in a third of the time.
  const UniqueFd null = openFile("/dev/null", O_WRONLY);
  off_t at = 0;
  while (at < kMost) {
    const ssize_t sent =
        ::sendfile(null.get(), file.get(), &at, static_cast<std::size_t>(kMost - at));
    if (sent <= 0) return;
  }
}

}  // namespace

void prefetchProgram(const Path& rootfs, const std::string& program) {
  if (!program.starts_with('/')) return;
  try {
    readAhead(rootfs, program);
  } catch (const SystemError& error) {
    log::debug("nothing is read ahead of {}: {}", program, error.what());
  }
}

}  // namespace actool::run::native
