#include "p2p/seed_service.h"

#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <memory>

#include <systemd/sd-daemon.h>

#include "cas/layout/lease.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/lock.h"
#include "core/base/log.h"
#include "core/base/uuid.h"
#include "p2p/control_socket.h"
#include "p2p/metrics.h"
#include "p2p/sandbox.h"
#include "p2p/store_watch.h"

namespace actool::p2p {

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kTickMilliseconds = 1000;
// What inotify did not tell: a store that was made later, a file that was dropped.
constexpr std::chrono::seconds kLookAgain{30};
constexpr std::chrono::seconds kLookForStore{2};

UniqueFd blockSignals() {
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP})
    ::sigaddset(&signals, signal);
  // Before there are threads, so that none of them gets one.
  if (::pthread_sigmask(SIG_BLOCK, &signals, nullptr) != 0) throw Error("blocking signals failed");
  UniqueFd fd(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) throwErrno("making a signal descriptor");
  return fd;
}

// Keeps the images from being collected while they are given to others; the next set takes the
// place of the one before without a gap.
class SeedLease {
 public:
  explicit SeedLease(const cas::StoreLayout& layout)
      : layout_(layout), name_("seed-" + Uuid::random().str().substr(0, 8)) {}

  void hold(const std::vector<schema::ImageId>& images) {
    try {
      const FileLock lock = FileLock::acquire(layout_.lockFile(), LockMode::exclusive);
      auto next = std::make_unique<cas::HeldLease>(
          cas::HeldLease::take(layout_, {.name = fmt::format("{}-{}", name_, ++serial_),
                                         .created = formatRfc3339(systemClock().now()),
                                         .expires = {},
                                         .whileLocked = true,
                                         .images = images}));
      held_ = std::move(next);
    } catch (const Error& error) {
      if (!std::exchange(said_, true)) {
        log::warn("images may be removed from the store while they are seeded: {}", error.what());
      }
    }
  }

 private:
  const cas::StoreLayout& layout_;
  std::string name_;
  unsigned serial_ = 0;
  bool said_ = false;
  std::unique_ptr<cas::HeldLease> held_;
};

class Service {
 public:
  Service(const cas::StoreLayout& layout, const SeedServiceOptions& options)
      : layout_(layout), signals_(blockSignals()), watch_(layout), lease_(layout) {
    if (!options.controlPath.empty()) {
      makeDirs(options.controlPath.parent_path());
      control_.emplace(options.controlPath);
    }
    if (!options.cacheDir.empty()) makeDirs(options.cacheDir);
    if (options.sandbox) enter(options);
    if (options.metrics) metrics_.emplace(options.metrics->first, options.metrics->second);
    seeder_.emplace(layout, options.cacheDir, options.seeder);
  }

  void run() {
    scan();
    ::sd_notify(0, fmt::format("READY=1\nSTATUS={} images", seeder_->images().size()).c_str());
    log::info("seeding {} images at port {}", seeder_->images().size(), seeder_->listenPort());
    while (!stopped()) {
      wait();
      seeder_->tick();
      if (watched_ || Clock::now() >= lookAgain_) scan();
      if (metrics_) metrics_->set(metricsText(seeder_->status()));
      if (control_) control_->answer([this] { return dumpLine(seeder_->status()) + "\n"; });
    }
    ::sd_notify(0, "STOPPING=1");
  }

 private:
  void enter(const SeedServiceOptions& options) {
    std::vector<Path> writable{layout_.leasesDir(), layout_.lockFile()};
    try {
      // The rules are about files that are there.
      makeDirs(layout_.leasesDir());
      FileLock::acquire(layout_.lockFile(), LockMode::shared);
    } catch (const SystemError& error) {
      log::debug("{}", error.what());
    }
    if (!options.cacheDir.empty()) writable.push_back(options.cacheDir);
    if (control_) writable.push_back(control_->path().parent_path());
    enterSandbox({layout_.dir()}, writable);
  }

  void wait() {
    std::array<pollfd, 4> waiting{{{signals_.get(), POLLIN, 0},
                                   {watch_.fd(), POLLIN, 0},
                                   {seeder_->wakeFd(), POLLIN, 0},
                                   {control_ ? control_->fd() : -1, POLLIN, 0}}};
    if (::poll(waiting.data(), waiting.size(), kTickMilliseconds) < 0 && errno != EINTR) {
      throwErrno("waiting");
    }
    watched_ = waiting[1].revents != 0;
  }

  bool stopped() const {
    signalfd_siginfo info{};
    return ::read(signals_.get(), &info, sizeof info) > 0;
  }

  void scan() {
    watch_.drain();
    const bool there = actool::exists(layout_.imagesDir());
    lookAgain_ = Clock::now() + (there ? kLookAgain : kLookForStore);
    if (!there || !seeder_->scan()) return;
    lease_.hold(seeder_->images());
    ::sd_notify(0, fmt::format("STATUS={} images", seeder_->images().size()).c_str());
    log::debug("{} images", seeder_->images().size());
  }

  const cas::StoreLayout& layout_;
  UniqueFd signals_;
  StoreWatch watch_;
  SeedLease lease_;
  std::optional<ControlSocket> control_;
  std::optional<MetricsServer> metrics_;
  std::optional<Seeder> seeder_;
  bool watched_ = false;
  Clock::time_point lookAgain_;
};

}  // namespace

void runSeedService(const cas::StoreLayout& layout, const SeedServiceOptions& options) {
  Service(layout, options).run();
}

}  // namespace actool::p2p
