// The event loop of one asynchronous gpgme operation. gpgme hands over the descriptors of its
// pipes to gpg; serving them here instead of inside gpgme lets bytes be fed to gpg as they
// come, in the caller's own thread, through pipes as large as the kernel allows.
#pragma once

#include <gpgme.h>

#include <functional>
#include <list>

namespace actool::trust {

class GpgLoop {
 public:
  // Takes over the I/O of `context`, whose next operation has to be a *_start() one. Must live
  // until that has ended.
  explicit GpgLoop(gpgme_ctx_t context);
  GpgLoop(const GpgLoop&) = delete;
  GpgLoop& operator=(const GpgLoop&) = delete;

  // Waits for gpg and serves it until the operation is done or `enough` says true, which is
  // asked after each round.
  void runUntil(const std::function<bool()>& enough);
  // The descriptor whose handler is running: what a data callback of gpgme's is called for.
  int servedFd() const noexcept { return servedFd_; }
  // From now on calls `own` when `fd` is ready, instead of gpgme's handler, and makes its pipe
  // large; an empty function gives it back. `own` has to be able to take EAGAIN.
  void divert(int fd, const std::function<void()>& own);
  bool done() const noexcept { return done_; }
  // Nothing more can be given to gpg: all was, or it has closed its inputs.
  bool inputsClosed() const noexcept;
  // How the operation ended, once done().
  gpgme_error_t error() const noexcept { return error_; }

 private:
  // One descriptor. gpgme holds pointers to these as its tags.
  struct Watch {
    int fd;
    bool fromGpg;
    gpgme_io_cb_t handler;
    void* handlerData;
    std::function<void()> own{};  // instead of `handler`
    bool removed = false;
  };

  static gpgme_error_t add(void* self, int fd, int fromGpg, gpgme_io_cb_t handler,
                           void* handlerData, void** tag);
  static void remove(void* tag);
  static void event(void* self, gpgme_event_io_t type, void* data);
  void serveOnce();
  void serve(Watch& watch);

  std::list<Watch> watches_;
  bool onlyOwn_ = false;  // the last round served diverted descriptors alone
  gpgme_io_cbs callbacks_{};
  int servedFd_ = -1;
  bool done_ = false;
  gpgme_error_t error_ = 0;
};

}  // namespace actool::trust
