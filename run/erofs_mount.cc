#include "run/erofs_mount.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/process.h"
#include "core/base/strings.h"
#include "run/user_namespace.h"

namespace actool::run {
namespace {

// Nobody opens a device or executes anything through this mount: pods have an overlay over it.
constexpr unsigned kAttributes = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID;
constexpr std::size_t kMaxKernelMessage = 4096;
constexpr std::size_t kMaxHelp = 64 << 10;

std::string pathOf(const UniqueFd& fd) {
  return "/proc/self/fd/" + std::to_string(fd.get());
}

// A new file system in the making. Errors say what the kernel says of them.
class Context {
 public:
  explicit Context(const char* type) : fd_(::fsopen(type, FSOPEN_CLOEXEC)) {
    if (!fd_) throwErrno(fmt::format("asking the kernel for {}", type));
  }
  void set(const char* key, const std::string& value) const {
    if (::fsconfig(fd_.get(), FSCONFIG_SET_STRING, key, value.c_str(), 0) != 0) fail(key);
  }
  void set(const char* key) const {
    if (::fsconfig(fd_.get(), FSCONFIG_SET_FLAG, key, nullptr, 0) != 0) fail(key);
  }
  UniqueFd mount() const {
    if (::fsconfig(fd_.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) fail("mounting");
    UniqueFd mount(::fsmount(fd_.get(), FSMOUNT_CLOEXEC, kAttributes));
    if (!mount) fail("mounting");
    return mount;
  }

 private:
  [[noreturn]] void fail(std::string_view what) const {
    const int error = errno;
    std::string text = fmt::format("{}: {}", what, std::strerror(error));
    // One message for each read(2), until there is none.
    std::string message(kMaxKernelMessage, '\0');
    for (ssize_t got = 0; (got = ::read(fd_.get(), message.data(), message.size())) > 0;) {
      const std::string_view line(message.data(), static_cast<std::size_t>(got));
      text += fmt::format(" ({})", printable(trim(line)));
    }
    throw Error(text);
  }

  UniqueFd fd_;
};

UniqueFd mountKernelErofs(const UniqueFd& metadata, const std::vector<UniqueFd>& devices) {
  const Context context("erofs");
  context.set("ro");
  context.set("source", pathOf(metadata));
  for (const UniqueFd& device : devices)
    context.set("device", pathOf(device));
  return context.mount();
}

// A read-only loop device over `file` that is freed by itself with its last user.
UniqueFd loopDevice(const UniqueFd& file) {
  constexpr int kAttempts = 64;
  const UniqueFd control = openFile("/dev/loop-control", O_RDWR);
  // Without it the page cache has everything twice, as the file's and as the device's.
  std::uint32_t directIo = LO_FLAGS_DIRECT_IO;
  for (int i = 0; i < kAttempts; ++i) {
    const int number = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
    if (number < 0) throwErrno("looking for a free loop device");
    const std::string path = "/dev/loop" + std::to_string(number);
    UniqueFd device = openFile(path, O_RDONLY);
    loop_config config{};
    config.fd = static_cast<std::uint32_t>(file.get());
    config.info.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR | directIo;
    if (::ioctl(device.get(), LOOP_CONFIGURE, &config) == 0) return device;
    if (errno == EINVAL && directIo != 0) {
      directIo = 0;  // not with this file system
    } else if (errno != EBUSY) {
      throwErrno("setting " + path + " up");
    }
    // Busy: another process was faster.
  }
  throw Error("no loop device stayed free long enough");
}

UniqueFd mountByLoop(const ErofsFiles& files) {
  const UniqueFd metadata = loopDevice(files.metadata);
  std::vector<UniqueFd> devices;
  for (const UniqueFd& file : files.devices)
    devices.push_back(loopDevice(file));
  return mountKernelErofs(metadata, devices);
}

UniqueFd mountByFuse(const ErofsFiles& files) {
  const CommandResult help = runCommand({"sh", "-c", "exec erofsfuse --help 2>&1"}, kMaxHelp);
  if (help.out.find("--device") == std::string::npos) {
    throw Error("there is no erofsfuse that knows --device");
  }
  // The mount is made here and its descriptor passed on, so that the process never has the mount
  // itself: it would keep it alive, and the mount the process.
  const UniqueFd fuse = openFile("/dev/fuse", O_RDWR);
  const Context context("fuse");
  context.set("ro");
  context.set("source", "erofsfuse");
  context.set("fd", std::to_string(fuse.get()));
  for (const auto& [key, value] :
       {std::pair("rootmode", "40000"), std::pair("user_id", "0"), std::pair("group_id", "0")}) {
    context.set(key, value);
  }
  context.set("allow_other");
  context.set("default_permissions");
  UniqueFd mount = context.mount();

  constexpr int kFirst = 10;  // numbers for the child's descriptors
  SpawnOptions options;
  options.argv = {"erofsfuse"};
  const UniqueFd null = openFile("/dev/null", O_RDWR);
  options.fds = {{0, null.get()}, {1, null.get()}, {2, null.get()}};
  int next = kFirst;
  const auto give = [&](const UniqueFd& fd, std::string_view prefix) {
    options.fds.emplace(next, fd.get());
    options.argv.push_back(fmt::format("{}{}", prefix, next++));
  };
  for (const UniqueFd& device : files.devices)
    give(device, "--device=/proc/self/fd/");
  give(files.metadata, "/proc/self/fd/");
  give(fuse, "/dev/fd/");
  // It goes into the background once it serves.
  const ExitStatus status = Child::spawn(options).wait();
  if (!status.ok()) throw Error("erofsfuse " + status.describe());
  return mount;
}

UniqueFd openRegular(const Path& path, std::optional<std::uint64_t> size) {
  UniqueFd fd = tryOpen(path.string(), O_RDONLY | O_NOFOLLOW);
  if (!fd) {
    throw NotFoundError(path.string() + " is missing",
                        "fetch the image again if it was removed; else see 'actool image fsck'");
  }
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) throwErrno("looking at " + path.string());
  if (!S_ISREG(info.st_mode)) throw Error(path.string() + " is not a regular file");
  if (size && static_cast<std::uint64_t>(info.st_size) != *size) {
    throw TrustError(fmt::format("{} has {} bytes, not {}", path.string(), info.st_size, *size),
                     "run 'actool image fsck --repair', or remove the image and fetch it again");
  }
  return fd;
}

}  // namespace

ErofsFiles openErofsFiles(const cas::MountableImage& image) {
  ErofsFiles files{openRegular(image.metadata, std::nullopt), {}};
  for (const cas::MountableDevice& device : image.devices)
    files.devices.push_back(openRegular(device.tar, device.size));
  return files;
}

std::string_view erofsWayName(ErofsWay way) {
  switch (way) {
    case ErofsWay::files:
      return "files";
    case ErofsWay::loop:
      return "loop devices";
    case ErofsWay::fuse:
      return "erofsfuse";
  }
  return "";  // unreachable: every value has its case
}

UniqueFd mountErofs(const ErofsFiles& files, ErofsWay way) {
  switch (way) {
    case ErofsWay::files:
      return mountKernelErofs(files.metadata, files.devices);
    case ErofsWay::loop:
      return mountByLoop(files);
    case ErofsWay::fuse:
      return mountByFuse(files);
  }
  return {};  // unreachable: every value has its case
}

UniqueFd tryMountErofs(const ErofsFiles& files, std::string_view what) {
  std::string reasons;
  for (const ErofsWay way : kErofsWays) {
    try {
      UniqueFd mount = mountErofs(files, way);
      log::debug("{} is mounted by {}{}", what, erofsWayName(way), reasons);
      return mount;
    } catch (const Error& error) {
      reasons += fmt::format("; not by {}: {}", erofsWayName(way), error.what());
    }
  }
  log::debug("{} can't be mounted, its tree is unpacked{}", what, reasons);
  return {};
}

void attachMount(const UniqueFd& mount, const Path& target) {
  if (::move_mount(mount.get(), "", AT_FDCWD, target.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0) {
    throwErrno("mounting at " + target.string());
  }
}

bool ImageMount::mapOwners(int userNamespace) {
  if (!mapped_) mapped_ = mapMountOwners(mount_.get(), userNamespace, false);
  return *mapped_;
}

void ImageMount::attach(const Path& target) {
  if (std::exchange(attached_, true)) {
    const UniqueFd another(
        ::open_tree(mount_.get(), "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH));
    if (!another) throwErrno("mounting the image once more, at " + target.string());
    attachMount(another, target);
  } else {
    attachMount(mount_, target);
  }
}

}  // namespace actool::run
