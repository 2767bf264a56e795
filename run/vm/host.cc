#include "run/vm/host.h"

#include <fcntl.h>
#include <link.h>
#include <linux/kvm.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <map>
#include <optional>
#include <utility>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/process.h"
#include "core/base/strings.h"
#include "core/schema/pod_manifest.h"
#include "run/native/mounts.h"
#include "run/native/signals.h"
#include "run/native/supervisor.h"
#include "run/native/terminal.h"
#include "run/port_mappings.h"
#include "run/vm/disks.h"
#include "run/vm/enter_server.h"
#include "run/vm/guest_config.h"
#include "run/vm/initrd.h"
#include "run/vm/kernel.h"
#include "run/vm/machine.h"
#include "run/vm/outlet.h"
#include "run/vm/share.h"
#include "run/vm/wire.h"

namespace actool::run::vm {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kQemu = "/usr/bin/qemu-system-x86_64";
constexpr const char* kOurProgram = "/proc/self/exe";
// QEMU's own, in its network.
constexpr const char* kNameServer = "nameserver 10.0.2.3\n";
constexpr std::size_t kMaxManifest = 16 << 20;
constexpr std::string_view kSwitchedOff = "reboot: Power down";
constexpr std::size_t kMaxConsoleTail = 4096;
// The guest gives apps native::kStopSeconds; then it has some more to say so.
constexpr auto kStopTimeout = std::chrono::seconds(native::kStopSeconds + 5);
// A machine that says nothing for so long under KVM does not work; emulated ones are slow.
constexpr auto kKvmTimeout = std::chrono::seconds(15);

std::pair<UniqueFd, UniqueFd> socketPair() {
  std::array<int, 2> fds{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()) != 0) {
    throwErrno("making a socket pair");
  }
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

bool kvmWorks() {
  const UniqueFd device(::open("/dev/kvm", O_RDWR | O_CLOEXEC));
  if (!device) return false;
  const UniqueFd machine(::ioctl(device.get(), KVM_CREATE_VM, 0));
  return static_cast<bool>(machine);
}

void addIfThere(Initrd& initrd, const std::string& path, const Path& source) {
  const auto text = tryReadFile(source, kMaxManifest);
  if (text) initrd.addText(path, *text);
}

// Builds that are not linked statically need their libraries in the guest, where the loader looks
// for them.
void addLibraries(Initrd& initrd) {
  const auto add = [](dl_phdr_info* object, std::size_t /*size*/, void* into) {
    const Path path = object->dlpi_name;
    if (path.is_absolute()) {
      const bool loader = path.filename().string().starts_with("ld-linux");
      static_cast<Initrd*>(into)->addFile(
          (loader ? path.relative_path() : "usr/lib" / path.filename()).string(), path, 0755);
    }
    return 0;
  };
  ::dl_iterate_phdr(add, &initrd);
}

class Host {
 public:
  Host(const native::PodPlan& plan, const PodLayout& layout,
       const std::vector<std::string>& arguments)
      : plan_(plan), layout_(layout), arguments_(arguments) {}
  int run();

 private:
  void check() const;
  bool hasNetwork() const { return plan_.options.networks == "default"; }
  void prepare();
  std::vector<std::string> guestArguments() const;
  void makeInitrd(const GuestKernel& kernel);
  void boot(bool kvm);
  void takeSignals();
  void loop();
  void wait();
  void handleSignals();
  void passOn(int signal);
  void readInput();
  void readConsole();
  void take(const Frame& frame);
  void appExited(const std::string& payload) const;
  void writePid() const;
  int pollTimeout() const;
  void machineGone();

  const native::PodPlan& plan_;
  const PodLayout& layout_;
  const std::vector<std::string>& arguments_;
  Machine machine_;
  PodDisks disks_;
  std::optional<Share> share_;
  UniqueFd initrd_;
  std::optional<Child> qemu_;
  std::optional<Link> link_;
  std::optional<EnterServer> entering_;
  UniqueFd console_;
  UniqueFd signals_;
  std::optional<native::RawMode> raw_;
  std::array<Outlet, 2> outlets_{Outlet(STDOUT_FILENO), Outlet(STDERR_FILENO)};
  std::string consoleTail_;
  bool terminal_ = false;
  bool inputOpen_ = false;
  std::size_t inputOnTheWay_ = 0;
  bool heard_ = false;  // the guest has said something
  bool fallBack_ = false;
  std::optional<Clock::time_point> deadline_;
  std::optional<std::string> failure_;
  ExitCode failureCode_ = ExitCode::failure;
  std::optional<int> exitCode_;
};

void Host::check() const {
  if (plan_.options.hostNetwork) {
    throw UsageError("a virtual machine cannot have the host's network",
                     "give it --net=none or --net=default");
  }
  if (!plan_.options.networks.empty() && !hasNetwork()) {
    throw UsageError("a virtual machine has no networks but none and default");
  }
  if (plan_.options.hostIpc) {
    throw UsageError("a virtual machine cannot share the host's IPC namespace");
  }
  if (::access(kQemu, X_OK) != 0) {
    throw NotFoundError(std::string("there is no ") + kQemu,
                        "install QEMU (Debian: qemu-system-x86)");
  }
}

void Host::prepare() {
  disks_ = findDisks(plan_, layout_);
  native::makeMountsPrivate();
  Share share(Path("vm") / "share");
  for (std::size_t i = 0; i < plan_.apps.size(); ++i) {
    const native::AppPlan& app = plan_.apps[i];
    if (disks_.roots[i].index.empty()) share.addRoot(i, app, !plan_.options.disablePaths);
    withContext(app.shown(), [&] {
      for (std::size_t k = 0; k < app.mounts.size(); ++k)
        share.addMount(i, k, app.mounts[k]);
    });
  }
  if (!share.empty()) share_.emplace(std::move(share));
  terminal_ =
      plan_.options.interactive && ::isatty(STDIN_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 1;
  inputOpen_ = plan_.options.interactive;

  const char* chosen = ::getenv(kKernelVariable);
  const GuestKernel kernel =
      findKernel(chosen != nullptr ? chosen : "", guestModules(share_.has_value(), hasNetwork()));
  makeInitrd(kernel);
  machine_.kernel = kernel.image;
  machine_.disks = disks_.disks;
  machine_.memoryMib = guestMemoryMib(plan_);
  if (hasNetwork()) {
    machine_.userNetwork = true;
    const std::string text = readFile(layout_.manifest(), schema::kMaxPodManifestBytes);
    machine_.forwards =
        portForwards(portMappings(schema::PodManifest::parse(text, "the pod's manifest")));
  }
  entering_.emplace();
}

// The pod has the guest's network, which is its own.
std::vector<std::string> Host::guestArguments() const {
  std::vector<std::string> arguments = arguments_;
  for (std::string& argument : arguments) {
    if (hasNetwork() && (argument == "--net" || argument.starts_with("--net="))) {
      argument = "--net=host";
    }
  }
  return arguments;
}

void Host::makeInitrd(const GuestKernel& kernel) {
  GuestConfig config;
  config.arguments = guestArguments();
  config.network = hasNetwork();
  config.roots = disks_.roots;
  config.shared = share_.has_value();
  config.terminal = terminal_;
  const char* term = ::getenv("TERM");
  if (terminal_ && term != nullptr) config.term = term;

  Initrd initrd;
  initrd.addFile("init", kOurProgram, 0755);
  addLibraries(initrd);
  for (std::size_t i = 0; i < kernel.modules.size(); ++i) {
    const std::string& path = kernel.modules[i];
    config.modules.push_back(std::to_string(i) + path.substr(path.find(".ko", path.rfind('/'))));
    initrd.addFile(std::string(kGuestModules) + "/" + config.modules.back(),
                   kernel.modulesDir / path);
  }
  initrd.addText(kGuestConfig, formatGuestConfig(config), 0600);
  const std::string pod = kGuestPod;
  initrd.addText(pod + "/pod", readFile(layout_.manifest(), kMaxManifest), 0600);
  for (const native::AppPlan& app : plan_.apps) {
    addIfThere(initrd, pod + "/appsinfo/" + app.name.str() + "/manifest",
               layout_.appManifest(app.name));
  }
  for (const char* name : {"hosts", "resolv.conf"}) {
    addIfThere(initrd, std::string(kGuestEtc) + "/" + name, Path("/etc") / name);
    const Path given = layout_.stage1Rootfs() / ("etc/rkt-" + std::string(name));
    const std::string into = pod + "/stage1/rootfs/etc/rkt-" + name;
    if (hasNetwork() && std::string_view(name) == "resolv.conf" && !actool::exists(given)) {
      initrd.addText(into, kNameServer);
    } else {
      addIfThere(initrd, into, given);
    }
  }
  initrd_ = initrd.finish();
}

void Host::boot(bool kvm) {
  qemu_.reset();
  auto [port, theirPort] = socketPair();
  auto [console, theirConsole] = socketPair();
  link_.emplace(std::move(port));
  console_ = std::move(console);
  machine_.kvm = kvm;
  const long online = ::sysconf(_SC_NPROCESSORS_ONLN);
  const auto most = static_cast<unsigned>(std::clamp(online, 1L, 64L));
  // Emulated processors of one machine share the host's at a cost.
  machine_.cpus = guestCpus(plan_, most, kvm ? std::min(most, 4U) : 1);
  if (share_) machine_.shareSocket = share_->serve();

  const UniqueFd null = openFile("/dev/null", O_RDWR);
  SpawnOptions options;
  options.fds = {{0, null.get()},    {1, STDERR_FILENO},   {2, STDERR_FILENO},
                 {3, initrd_.get()}, {4, theirPort.get()}, {5, theirConsole.get()}};
  machine_.initrd = 3;
  machine_.port = 4;
  machine_.console = 5;
  options.argv = machineCommand(kQemu, machine_);
  options.dieWithParent = true;
  options.newSession = true;
  log::debug("{}", join(options.argv, " "));
  qemu_ = Child::spawn(options);
  if (kvm) deadline_ = Clock::now() + kKvmTimeout;
}

void Host::takeSignals() {
  ::signal(SIGPIPE, SIG_IGN);
  signals_ = native::receiveSignals(native::kForwardedSignals);
}

int Host::run() {
  check();
  makeDirs(layout_.statusDir());
  prepare();
  const char* chosen = ::getenv(kAcceleratorVariable);
  const std::string accelerator = chosen != nullptr ? chosen : "";
  if (!accelerator.empty() && accelerator != "kvm" && accelerator != "tcg") {
    throw UsageError(std::string(kAcceleratorVariable) + " is neither kvm nor tcg");
  }
  const bool kvm = accelerator == "kvm" || (accelerator.empty() && kvmWorks());
  fallBack_ = kvm && accelerator.empty();
  boot(kvm);
  takeSignals();
  if (terminal_) {
    raw_.emplace();
    passOn(SIGWINCH);
  }
  loop();
  for (Outlet& outlet : outlets_)
    outlet.drain();
  raw_.reset();
  qemu_->kill(SIGKILL);
  if (failure_) throw Error(*failure_, "", failureCode_);
  return *exitCode_;
}

void Host::loop() {
  while (!exitCode_) {
    wait();
    if (!deadline_ || *deadline_ > Clock::now()) continue;
    if (heard_ || !fallBack_) throw Error("the virtual machine did not end in time");
    log::warn("a virtual machine does not work with KVM here; it is emulated");
    fallBack_ = false;
    deadline_.reset();
    boot(false);
  }
}

void Host::wait() {
  std::vector<pollfd> fds = {{signals_.get(), POLLIN, 0},
                             {link_->fd(), link_->events(true), 0},
                             {console_.get(), POLLIN, 0}};
  const bool reading = inputOpen_ && heard_ && inputOnTheWay_ < kWindow;
  fds.push_back({reading ? STDIN_FILENO : -1, POLLIN, 0});
  for (const Outlet& outlet : outlets_)
    outlet.addTo(fds);
  entering_->addTo(fds);
  if (::poll(fds.data(), fds.size(), pollTimeout()) < 0) {
    if (errno == EINTR) return;
    throwErrno("waiting for the virtual machine");
  }
  if (fds[0].revents != 0) handleSignals();
  if (fds[2].revents != 0) readConsole();
  if (fds[3].revents != 0) readInput();
  for (Outlet& outlet : outlets_) {
    const std::size_t gone = outlet.handle(fds);
    if (gone > 0) link_->send(FrameKind::taken, kPodJob, std::to_string(gone));
  }
  entering_->handle(fds, *link_);
  if ((fds[1].revents & POLLOUT) != 0) link_->flush();
  if ((fds[1].revents & ~POLLOUT) == 0) return;
  const bool there = link_->fill();
  while (const auto frame = link_->next())
    take(*frame);
  if (!there && !exitCode_) machineGone();
}

void Host::handleSignals() {
  signalfd_siginfo info{};
  while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
    const int signal = static_cast<int>(info.ssi_signo);
    passOn(signal);
    if (signal == SIGTERM && !deadline_) deadline_ = Clock::now() + kStopTimeout;
  }
}

void Host::passOn(int signal) {
  if (signal == SIGWINCH && terminal_) {
    winsize size{};
    if (::ioctl(STDIN_FILENO, TIOCGWINSZ, &size) != 0) return;
    link_->send(FrameKind::size, kPodJob,
                std::to_string(size.ws_row) + " " + std::to_string(size.ws_col));
    return;
  }
  link_->send(FrameKind::signal, kPodJob, std::to_string(signal));
}

void Host::readInput() {
  std::array<char, 16384> piece{};
  const ssize_t count = ::read(STDIN_FILENO, piece.data(), piece.size());
  if (count < 0 && errno == EINTR) return;
  const std::size_t size = count > 0 ? static_cast<std::size_t>(count) : 0;
  if (size == 0) inputOpen_ = false;
  inputOnTheWay_ += size;
  link_->send(FrameKind::input, kPodJob, std::string_view(piece.data(), size));
}

// What the kernel says is worth knowing when it is the last it says.
void Host::readConsole() {
  std::array<char, 4096> piece{};
  const ssize_t count = ::read(console_.get(), piece.data(), piece.size());
  if (count <= 0) return;
  const std::string_view text(piece.data(), static_cast<std::size_t>(count));
  if (log::debugEnabled()) writeAll(STDERR_FILENO, text, "standard error");
  consoleTail_ += text;
  if (consoleTail_.size() > kMaxConsoleTail) {
    consoleTail_.erase(0, consoleTail_.size() - kMaxConsoleTail);
  }
}

void Host::machineGone() {
  if (!heard_ && fallBack_) {
    deadline_ = Clock::now();
    return;
  }
  const ExitStatus status = qemu_->wait();
  readConsole();
  std::string last;
  for (const std::string_view line : split(consoleTail_, '\n')) {
    // What our own program said before it switched the machine off says more than that it did.
    if (!trim(line).empty() && line.find(kSwitchedOff) == std::string_view::npos) {
      last = printable(trim(line));
    }
  }
  std::string why = "the virtual machine ended before the pod did";
  if (!status.ok()) why += ": QEMU " + status.describe();
  if (!last.empty()) why += "; its last words: " + last;
  throw Error(why, "--debug shows what its kernel says");
}

void Host::take(const Frame& frame) {
  if (!heard_) {
    heard_ = true;
    if (machine_.kvm) deadline_.reset();
  }
  if (frame.job != kPodJob) {
    entering_->take(frame, *link_);
    return;
  }
  switch (frame.kind) {
    case FrameKind::up:
      if (!frame.payload.empty()) {
        parseJson(frame.payload, "the guest's isolator report");
        writeFilePlain(layout_.isolatorsFile(), frame.payload);
      }
      writePid();
      return;
    case FrameKind::ready:
      if (::symlink("ready", layout_.readyMark().c_str()) != 0 && errno != EEXIST) {
        throwErrno("writing " + layout_.readyMark().string());
      }
      return;
    case FrameKind::output:
      outlets_[0].add(frame.payload);
      return;
    case FrameKind::errorOutput:
      outlets_[1].add(frame.payload);
      return;
    case FrameKind::taken:
      inputOnTheWay_ -= std::min<std::size_t>(inputOnTheWay_, parseUint(frame.payload).value_or(0));
      return;
    case FrameKind::appExited:
      appExited(frame.payload);
      return;
    case FrameKind::failure: {
      const std::size_t space = frame.payload.find(' ');
      failure_ = frame.payload.substr(space == std::string::npos ? 0 : space + 1);
      if (frame.payload.starts_with("252 ")) failureCode_ = ExitCode::notFound;
      return;
    }
    case FrameKind::ended:
      exitCode_ = static_cast<int>(parseUint(frame.payload).value_or(254) & 0xff);
      return;
    default:
      return;  // these go the other way
  }
}

void Host::appExited(const std::string& payload) const {
  const std::size_t space = payload.find(' ');
  const std::string name = payload.substr(0, space);
  const auto code =
      space == std::string::npos ? std::nullopt : parseUint(payload.substr(space + 1));
  const auto app = std::find_if(plan_.apps.begin(), plan_.apps.end(),
                                [&](const native::AppPlan& one) { return one.name.str() == name; });
  if (app == plan_.apps.end() || !code || *code > UCHAR_MAX) {
    throw Error("the guest says that something ended which is no app of the pod");
  }
  writeFilePlain(layout_.statusFile(app->name), std::to_string(*code));
}

// Others poll for this file: it appears whole.
void Host::writePid() const {
  const Path fresh = layout_.dir() / "pid.new";
  writeFilePlain(fresh, std::to_string(::getpid()) + "\n");
  if (::rename(fresh.c_str(), layout_.pid().c_str()) != 0) {
    throwErrno("writing " + layout_.pid().string());
  }
}

int Host::pollTimeout() const {
  if (!deadline_) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline_ - Clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, INT_MAX));
}

}  // namespace

std::vector<std::string> guestModules(bool shared, bool network) {
  std::vector<std::string> names{"virtio_mmio", "virtio_pci", "virtio_console",
                                 "virtio_blk",  "erofs",      "overlay"};
  if (shared) names.emplace_back("virtiofs");
  if (network) names.emplace_back("virtio_net");
  return names;
}

int runMachine(const native::PodPlan& plan, const PodLayout& layout,
               const std::vector<std::string>& arguments) {
  return Host(plan, layout, arguments).run();
}

}  // namespace actool::run::vm
