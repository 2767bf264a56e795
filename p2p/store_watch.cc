#include "p2p/store_watch.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <array>

#include "core/base/error.h"
#include "core/base/log.h"

namespace actool::p2p {

namespace {

// Images come and go by rename (docs/store-format.md, Order of changes).
constexpr std::uint32_t kChanges = IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_ONLYDIR;

}  // namespace

StoreWatch::StoreWatch(cas::StoreLayout layout)
    : layout_(std::move(layout)), fd_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {
  if (!fd_) throwErrno("making an inotify descriptor");
  watchAll();
}

void StoreWatch::watchAll() {
  // Adding a watch again leaves it as it is. What can't be watched is found by looking again.
  const auto watch = [this](const Path& dir) {
    if (::inotify_add_watch(fd_.get(), dir.c_str(), kChanges) < 0) {
      log::debug("{}", SystemError(errno, "watching " + dir.string()).what());
    }
  };
  watch(layout_.imagesDir());
  for (const auto& shard : listDir(layout_.imagesDir()))
    watch(layout_.imagesDir() / shard);
}

void StoreWatch::drain() {
  alignas(inotify_event) std::array<char, 16 << 10> buffer;
  while (::read(fd_.get(), buffer.data(), buffer.size()) > 0) {
  }
  watchAll();
}

}  // namespace actool::p2p
