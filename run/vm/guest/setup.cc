#include "run/vm/guest/setup.h"

#include <fcntl.h>
#include <linux/module.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <thread>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "run/native/mounts.h"
#include "run/native/options.h"
#include "run/vm/guest/interface.h"
#include "run/vm/machine.h"
#include "run/vm/share.h"

namespace actool::run::vm {
namespace {

constexpr const char* kNewRoot = "/new";
constexpr std::size_t kMaxConfig = 16 << 20;
constexpr std::size_t kMaxSysFile = 4096;
constexpr auto kPortTimeout = std::chrono::seconds(20);
constexpr auto kPortPause = std::chrono::milliseconds(2);

void mountAt(const std::string& target, const char* type, unsigned long flags,
             const char* options = nullptr) {
  makeDirs(target);
  if (::mount(type, target.c_str(), type, flags, options) != 0) {
    throwErrno("mounting " + std::string(type) + " at " + target);
  }
}

void loadModule(const std::string& file) {
  const UniqueFd module = openFile(file, O_RDONLY);
  const int flags = file.ends_with(".ko") ? 0 : MODULE_INIT_COMPRESSED_FILE;
  if (::syscall(SYS_finit_module, module.get(), "", flags) != 0 && errno != EEXIST) {
    throwErrno("loading the kernel module " + file);
  }
}

void copyInto(const std::string& from, const std::string& to) {
  makeDirs(to);
  if (!actool::exists(from)) return;
  std::error_code failure;
  std::filesystem::copy(from, to, std::filesystem::copy_options::recursive, failure);
  if (failure) throw SystemError(failure.value(), "copying " + from);
}

void useConsole() {
  const UniqueFd console = openFile("/dev/console", O_RDWR | O_NOCTTY);
  for (const int number : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::dup2(console.get(), number) < 0) throwErrno("opening the console");
  }
}

// Serial numbers to device files.
std::map<std::string, std::string> disksBySerial() {
  std::map<std::string, std::string> found;
  for (const std::string& name : listDir("/sys/block")) {
    const UniqueFd file = tryOpen("/sys/block/" + name + "/serial", O_RDONLY);
    if (file) {
      found[std::string(trim(readAll(file.get(), kMaxSysFile, name)))] = "/dev/" + name;
    }
  }
  return found;
}

// What an app writes stays in memory; its root has the attributes of the image's.
void mountImage(const AppRoot& root, const std::map<std::string, std::string>& disks,
                const std::string& number, const Path& target) {
  const auto device = [&](const std::string& serial) {
    const auto found = disks.find(serial);
    if (found == disks.end()) throw Error("the virtual machine has no disk " + serial);
    return found->second;
  };
  const std::string lower = "/images/" + number;
  const std::string upper = "/written/" + number + "/upper";
  const std::string work = "/written/" + number + "/work";
  makeDirs(lower);
  makeDirs(upper);
  makeDirs(work);
  std::vector<std::string> options;
  for (const std::string& serial : root.devices)
    options.push_back("device=" + device(serial));
  const std::string text = join(options, ",");
  if (::mount(device(root.index).c_str(), lower.c_str(), "erofs", MS_RDONLY | MS_NODEV,
              text.c_str()) != 0) {
    throwErrno("mounting the image's index");
  }
  struct stat info {};
  if (::stat(lower.c_str(), &info) != 0 || ::chown(upper.c_str(), info.st_uid, info.st_gid) != 0 ||
      ::chmod(upper.c_str(), info.st_mode & 07777) != 0) {
    throwErrno("copying the attributes of the image's root");
  }
  const std::string overlay = "lowerdir=" + lower + ",upperdir=" + upper + ",workdir=" + work;
  if (::mount("overlay", target.c_str(), "overlay", 0, overlay.c_str()) != 0) {
    throwErrno("mounting an overlay over the image");
  }
}

void bindShared(const std::string& source, const Path& target) {
  if (::mount(source.c_str(), target.c_str(), nullptr, MS_BIND | MS_REC, nullptr) != 0) {
    throwErrno("mounting " + source);
  }
}

}  // namespace

GuestConfig setUpGuest() {
  const std::string root = kNewRoot;
  mountAt(root, "tmpfs", 0, "mode=0755");
  mountAt(root + "/dev", "devtmpfs", MS_NOSUID);
  mountAt(root + "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC);
  mountAt(root + "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC);
  const GuestConfig config = parseGuestConfig(readFile(Path("/") / kGuestConfig, kMaxConfig));
  for (const std::string& module : config.modules)
    loadModule("/" + std::string(kGuestModules) + "/" + module);
  copyInto("/" + std::string(kGuestPod), root + kPodDir);
  copyInto("/" + std::string(kGuestEtc), root + "/etc");
  std::filesystem::remove_all(Path("/") / Path(kGuestConfig).parent_path());

  if (::chdir(kNewRoot) != 0 || ::mount(".", "/", nullptr, MS_MOVE, nullptr) != 0 ||
      ::chroot(".") != 0 || ::chdir("/") != 0) {
    throwErrno("going to the root file system");
  }
  useConsole();
  mountAt("/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "mode=0600,ptmxmode=0666");
  makeDirs("/tmp", 01777);
  mountAt("/sys/fs/cgroup", "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC);
  mountAt("/written", "tmpfs", 0, "mode=0755");
  if (config.shared) {
    makeDirs(kShareDir);
    if (::mount(kShareTag, kShareDir, "virtiofs", MS_NODEV, nullptr) != 0) {
      throwErrno("mounting what the host shares");
    }
  }
  if (config.network) setUpInterface();
  if (::chdir(kPodDir) != 0) throwErrno("entering the pod's directory");
  return config;
}

UniqueFd openPort() {
  const Path ports = "/sys/class/virtio-ports";
  const auto deadline = std::chrono::steady_clock::now() + kPortTimeout;
  do {
    for (const std::string& name : listDir(ports)) {
      const UniqueFd file = tryOpen(ports / name / "name", O_RDONLY);
      if (file && trim(readAll(file.get(), kMaxSysFile, name)) == kPortName) {
        return openFile("/dev/" + name, O_RDWR);
      }
    }
    std::this_thread::sleep_for(kPortPause);
  } while (std::chrono::steady_clock::now() < deadline);
  throw Error("the virtual machine has no port to the host");
}

native::PodPlan setUpPod(const GuestConfig& config, const PodLayout& layout) {
  native::PodPlan plan = native::makePlan(native::parseRunOptions(config.arguments), layout);
  if (plan.apps.size() != config.roots.size()) throw Error("the pod has changed on the way");
  makeDirs(layout.statusDir());
  const auto disks = disksBySerial();
  for (std::size_t i = 0; i < plan.apps.size(); ++i) {
    native::AppPlan& app = plan.apps[i];
    withContext(app.shown(), [&] {
      makeDirs(app.rootfs);
      if (config.roots[i].index.empty()) {
        bindShared(std::string(kShareDir) + "/" + rootShareName(i), app.rootfs);
      } else {
        mountImage(config.roots[i], disks, std::to_string(i), app.rootfs);
      }
    });
    for (std::size_t k = 0; k < app.mounts.size(); ++k) {
      app.mounts[k].source = Path(kShareDir) / mountShareName(i, k);
      app.mounts[k].ofHost = true;
    }
  }
  return plan;
}

}  // namespace actool::run::vm
