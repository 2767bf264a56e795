#include "run/mounts.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/base/id_map.h"
#include "core/base/own_root.h"
#include "core/base/process.h"
#include "core/base/strings.h"

namespace actool::run {
namespace {

// overlayfs splits its options at commas and lower layers at colons.
std::string escaped(const Path& path) {
  std::string out;
  for (const char c : path.string()) {
    if (c == '\\' || c == ',' || c == ':') out += '\\';
    out += c;
  }
  return out;
}

// mountinfo writes space, tab, newline and backslash as \ooo.
std::string unescapeOctal(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto digit = [&](std::size_t at) { return text[at] >= '0' && text[at] <= '7'; };
    if (text[i] == '\\' && i + 3 < text.size() && digit(i + 1) && digit(i + 2) && digit(i + 3)) {
      out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                               (text[i + 3] - '0'));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

constexpr uid_t kNobody = 65534;

// mountinfo of a host with thousands of mounts is some hundred kB.
constexpr std::size_t kMaxMountinfo = 64 << 20;

}  // namespace

int tryEnterMountNamespace() noexcept {
  if (::unshare(CLONE_NEWNS) != 0) return errno;
  if (::mount("none", "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0) return errno;
  return 0;
}

void enterMountNamespace() {
  const int error = tryEnterMountNamespace();
  if (error == EPERM || error == EACCES) {
    throw Error("making a mount namespace for the pod: not permitted", whyNoUserNamespace(error));
  }
  if (error != 0) throw SystemError(error, "making a mount namespace for the pod");
}

bool overlayNotToBeHad(int error) {
  return error == ENODEV || error == EINVAL || error == EOPNOTSUPP || error == EPERM;
}

bool mountOverlay(const Overlay& overlay) {
  // Only the host's root has the attributes "trusted."; what is deleted has to be marked elsewhere.
  const std::string options =
      "lowerdir=" + escaped(overlay.lower) + ",upperdir=" + escaped(overlay.upper) +
      ",workdir=" + escaped(overlay.work) + (inUserNamespace() ? ",userxattr" : "");
  const std::string fast = options + ",volatile";
  if (::mount("overlay", overlay.target.c_str(), "overlay", 0, fast.c_str()) == 0) return true;
  if (errno == EINVAL &&  // before Linux 5.10
      ::mount("overlay", overlay.target.c_str(), "overlay", 0, options.c_str()) == 0) {
    return true;
  }
  if (overlayNotToBeHad(errno)) return false;
  throwErrno("mounting an overlay of " + overlay.lower.string() + " at " + overlay.target.string());
}

std::string readOnlyOverlayOptions(const Path& upper, const Path& lower) {
  return "lowerdir=" + escaped(upper) + ":" + escaped(lower) +
         (inUserNamespace() ? ",userxattr" : "");
}

int mountReadOnlyOverlay(const char* target, const char* options) noexcept {
  return ::mount("overlay", target, "overlay", MS_RDONLY, options) == 0 ? 0 : errno;
}

void copyTree(const Path& source, const Path& target) {
  // cp(1) knows hard links, sparse files, attributes and devices; this is the slow path, for
  // file systems over which there is no overlay.
  const CommandResult result =
      runCommand({"cp", "-a", "--reflink=auto", "--", (source / ".").string(), target.string()});
  if (!result.status.ok()) {
    throw Error("copying " + source.string() + " to " + target.string() + ": cp " +
                result.status.describe());
  }
}

void copyDirAttributes(int model, const Path& directory) {
  const UniqueFd to = openFile(directory.string(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  struct stat info {};
  struct stat now {};
  if (::fstat(model, &info) != 0 || ::fstat(to.get(), &now) != 0) {
    throwErrno("looking at " + directory.string() + " or its model");
  }
  const timespec times[2] = {info.st_atim, info.st_mtim};
  // In a user namespace the kernel shows this ID where it has none, as for the host's root.
  const bool ofNobody = inUserNamespace() && info.st_uid == kNobody;
  const uid_t user = ofNobody ? 0 : info.st_uid;
  const gid_t group = ofNobody ? 0 : info.st_gid;
  // To a journal, what changes nothing is work like any other.
  const bool otherOwner = now.st_uid != user || now.st_gid != group;
  const bool otherMode = otherOwner || (now.st_mode & 07777) != (info.st_mode & 07777);
  if ((otherOwner && ::fchown(to.get(), user, group) != 0) ||
      (otherMode && ::fchmod(to.get(), info.st_mode & 07777) != 0) ||
      ::futimens(to.get(), times) != 0) {
    throwErrno("setting owner and mode of " + directory.string());
  }
}

std::vector<Path> mountPointsBelow(std::string_view mountinfo, const Path& directory) {
  std::vector<Path> found;
  for (const std::string_view line : split(mountinfo, '\n')) {
    const std::vector<std::string_view> fields = split(line, ' ');
    if (fields.size() < 5) continue;
    const std::string point = unescapeOctal(fields[4]);
    if (point != directory.string() && hasPathPrefix(point, directory.string())) {
      found.emplace_back(point);
    }
  }
  return found;
}

void unmountBelow(const Path& directory) {
  std::vector<Path> points =
      mountPointsBelow(readFile("/proc/self/mountinfo", kMaxMountinfo), directory);
  std::reverse(points.begin(), points.end());  // later mounts lie on or below earlier ones
  for (const Path& point : points) {
    if (::umount2(point.c_str(), UMOUNT_NOFOLLOW | MNT_DETACH) != 0 && errno != EINVAL) {
      throwErrno("unmounting " + point.string());
    }
  }
}

}  // namespace actool::run
