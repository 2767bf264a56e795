#include "trust/gpg_loop.h"

#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <new>
#include <thread>
#include <utility>
#include <vector>

#include "core/base/error.h"

namespace actool::trust {
namespace {

// The kernel's usual upper limit (/proc/sys/fs/pipe-max-size). With the default of 64 KiB
// gpg and we would take turns on the processor instead of working side by side.
constexpr int kPipeBytes = 1 << 20;

// A pipe wakes its writer for every page that is read, and its reader for every page that is
// written. gpg does 8 KiB at a time, and answering each costs as much as hashing it; in this time
// it does a quarter of a pipe.
constexpr std::chrono::microseconds kPace{200};

}  // namespace

GpgLoop::GpgLoop(gpgme_ctx_t context) {
  callbacks_.add = add;
  callbacks_.add_priv = this;
  callbacks_.remove = remove;
  callbacks_.event = event;
  callbacks_.event_priv = this;
  gpgme_set_io_cbs(context, &callbacks_);
}

gpgme_error_t GpgLoop::add(void* self, int fd, int fromGpg, gpgme_io_cb_t handler,
                           void* handlerData, void** tag) {
  auto& loop = *static_cast<GpgLoop*>(self);
  try {
    *tag = &loop.watches_.emplace_back(Watch{fd, fromGpg != 0, handler, handlerData});
  } catch (const std::bad_alloc&) {  // called from C
    return gpgme_error(GPG_ERR_ENOMEM);
  }
  return 0;
}

void GpgLoop::remove(void* tag) {
  static_cast<Watch*>(tag)->removed = true;
}

void GpgLoop::event(void* self, gpgme_event_io_t type, void* data) {
  if (type != GPGME_EVENT_DONE) return;
  auto& loop = *static_cast<GpgLoop*>(self);
  const auto& result = *static_cast<gpgme_io_event_done_data_t>(data);
  loop.done_ = true;
  loop.error_ = result.err != 0 ? result.err : result.op_err;
}

bool GpgLoop::inputsClosed() const noexcept {
  return std::none_of(watches_.begin(), watches_.end(),
                      [](const Watch& watch) { return !watch.fromGpg && !watch.removed; });
}

void GpgLoop::runUntil(const std::function<bool()>& enough) {
  onlyOwn_ = false;  // since the last time gpg has had time
  while (!done_ && !enough())
    serveOnce();
}

void GpgLoop::serveOnce() {
  if (std::exchange(onlyOwn_, false)) std::this_thread::sleep_for(kPace);
  // A handler may remove any watch, its own too, so they are only dropped here.
  watches_.remove_if([](const Watch& watch) { return watch.removed; });
  std::vector<pollfd> polls;
  std::vector<Watch*> order;
  for (Watch& watch : watches_) {
    polls.push_back({watch.fd, static_cast<short>(watch.fromGpg ? POLLIN : POLLOUT), 0});
    order.push_back(&watch);
  }
  if (polls.empty()) throw Error("gpgme's operation has no end");
  if (::poll(polls.data(), polls.size(), -1) < 0) {
    if (errno == EINTR) return;
    throwErrno("waiting for gpg");
  }
  onlyOwn_ = true;
  for (std::size_t i = 0; i < polls.size() && !done_; ++i) {
    if (polls[i].revents == 0 || order[i]->removed) continue;
    if (!order[i]->own) onlyOwn_ = false;
    serve(*order[i]);
  }
}

void GpgLoop::serve(Watch& watch) {
  if (const auto own = watch.own) {  // a copy: it may give the descriptor back while it runs
    own();
    return;
  }
  servedFd_ = watch.fd;
  // The handler's own result is gpgme's to see: it comes back with the DONE event.
  watch.handler(watch.handlerData, watch.fd);
  servedFd_ = -1;
}

void GpgLoop::divert(int fd, const std::function<void()>& own) {
  // Over the user's quota of pipe pages it stays as small as it is, which is only slower.
  if (own) static_cast<void>(::fcntl(fd, F_SETPIPE_SZ, kPipeBytes));
  for (Watch& watch : watches_) {
    if (watch.fd == fd && !watch.removed) watch.own = own;
  }
}

}  // namespace actool::trust
