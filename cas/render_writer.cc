#include "cas/render_writer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include <linux/openat2.h>

#include "cas/aci_acl.h"
#include "cas/aci_path.h"
#include "core/base/error.h"

namespace actool::cas {

namespace {

constexpr std::size_t kBuffer = 256 << 10;

std::array<timespec, 2> times(const TarEntry& entry) {
  timespec time{};
  time.tv_sec = entry.mtime.seconds;
  time.tv_nsec = entry.mtime.nanoseconds;
  return {time, time};
}

}  // namespace

UniqueFd openDirBeneath(int rootFd, const std::string& path) {
  open_how how{};
  how.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  const char* name = path.empty() ? "." : path.c_str();
  const long fd = syscall(SYS_openat2, rootFd, name, &how, sizeof how);
  if (fd < 0) throwErrno("opening the directory " + inQuotes(path));
  return UniqueFd(static_cast<int>(fd));
}

NodeWriter::NodeWriter(bool owners, bool devices)
    : owners_(owners), devices_(devices), uid_(geteuid()), gid_(getegid()), buffer_(kBuffer) {}

bool NodeWriter::ownerDiffers(const TarEntry& entry) {
  if (entry.uid == uid_ && entry.gid == gid_) return false;
  if (owners_ && hasOwner(entry)) return true;
  ++report_.ownersSkipped;
  return false;
}

bool NodeWriter::hasOwner(const TarEntry& entry) const {
  return users_.has(entry.uid) && groups_.has(entry.gid);
}

mode_t NodeWriter::modeOf(const TarEntry& entry) const {
  return renderedMode(entry.mode, !owners_ || hasOwner(entry));
}

bool NodeWriter::make(int dirFd, const std::string& name, const TarEntry& entry, int tarFd) {
  const auto attempt = [&](std::string_view what) {
    return std::string(what) + " of " + inQuotes(name);
  };
  const std::string viaProc = "/proc/self/fd/" + std::to_string(dirFd) + "/" + name;
  const auto when = times(entry);

  if (entry.type == TarType::regular) {
    const UniqueFd fd(
        openat(dirFd, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!fd) throwErrno("making the file " + inQuotes(name));
    withContext("writing " + inQuotes(name), [&] { writeContent(fd.get(), entry, tarFd); });
    // In this order: chown(2) takes setuid bits and file capabilities away, and a mode without
    // the owner's w bit forbids setting user attributes.
    if (ownerDiffers(entry) && fchown(fd.get(), entry.uid, entry.gid) != 0) {
      throwErrno(attempt("setting the owner"));
    }
    setAttributes(fd.get(), viaProc, entry);
    if (fchmod(fd.get(), modeOf(entry)) != 0) throwErrno(attempt("setting the mode"));
    if (futimens(fd.get(), when.data()) != 0) throwErrno(attempt("setting the time"));
    ++report_.files;
    return true;
  }

  if (entry.type == TarType::symlink) {
    if (symlinkat(entry.linkTarget.c_str(), dirFd, name.c_str()) != 0) {
      throwErrno("making the symbolic link " + inQuotes(name));
    }
  } else {
    const bool device = entry.type != TarType::fifo;
    if (device && !devices_) {
      ++report_.devicesSkipped;
      return false;
    }
    const dev_t number = device ? makedev(entry.deviceMajor, entry.deviceMinor) : 0;
    if (mknodat(dirFd, name.c_str(), kindBits(entry.type) | 0600, number) != 0) {
      throwErrno("making the " + std::string(cas::name(entry.type)) + " " + inQuotes(name));
    }
  }
  if (ownerDiffers(entry) &&
      fchownat(dirFd, name.c_str(), entry.uid, entry.gid, AT_SYMLINK_NOFOLLOW) != 0) {
    throwErrno(attempt("setting the owner"));
  }
  setAttributes(-1, viaProc, entry);
  // Not a symbolic link: it was made here, a moment ago.
  if (entry.type != TarType::symlink && fchmodat(dirFd, name.c_str(), modeOf(entry), 0) != 0) {
    throwErrno(attempt("setting the mode"));
  }
  if (utimensat(dirFd, name.c_str(), when.data(), AT_SYMLINK_NOFOLLOW) != 0) {
    throwErrno(attempt("setting the time"));
  }
  ++report_.files;
  return true;
}

void NodeWriter::finishDirectory(int fd, const TarEntry& entry) {
  if (ownerDiffers(entry) && fchown(fd, entry.uid, entry.gid) != 0) {
    throwErrno("setting a directory's owner");
  }
  setAttributes(fd, {}, entry);
  if (fchmod(fd, modeOf(entry)) != 0) throwErrno("setting a directory's mode");
  const auto when = times(entry);
  if (futimens(fd, when.data()) != 0) throwErrno("setting a directory's time");
  ++report_.files;
}

void NodeWriter::writeContent(int fd, const TarEntry& entry, int tarFd) {
  if (!entry.sparse) {
    copyRange(fd, tarFd, entry.dataOffset, 0, entry.size);
  } else {
    if (ftruncate(fd, static_cast<off_t>(entry.size)) != 0) throwErrno("setting the size");
    std::uint64_t from = entry.dataOffset;
    for (const SparsePiece& piece : entry.pieces) {
      copyRange(fd, tarFd, from, piece.offset, piece.length);
      from += piece.length;
    }
  }
  report_.bytes += entry.dataSize;
}

void NodeWriter::copyRange(int fd, int tarFd, std::uint64_t from, std::uint64_t to,
                           std::uint64_t count) {
  while (count > 0) {
    // Where the file system can share blocks the kernel does; elsewhere it saves a copy, which
    // only pays for what is larger than the buffer.
    if (copyFileRange_ && count > buffer_.size()) {
      auto in = static_cast<loff_t>(from);
      auto out = static_cast<loff_t>(to);
      const ssize_t done =
          copy_file_range(tarFd, &in, fd, &out, static_cast<std::size_t>(count), 0);
      if (done > 0) {
        const auto moved = static_cast<std::uint64_t>(done);
        from += moved;
        to += moved;
        count -= moved;
        continue;
      }
      if (done == 0) throw TrustError("the tar is truncated");
      if (errno == EINTR) continue;
      if (errno != EXDEV && errno != EOPNOTSUPP && errno != EINVAL && errno != ENOSYS) {
        throwErrno("copying from the tar");
      }
      copyFileRange_ = false;
    }
    const std::size_t step =
        static_cast<std::size_t>(std::min<std::uint64_t>(count, buffer_.size()));
    const ssize_t got = pread(tarFd, buffer_.data(), step, static_cast<off_t>(from));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throwErrno("reading the tar");
    if (got == 0) throw TrustError("the tar is truncated");
    for (ssize_t written = 0; written < got;) {
      const ssize_t put =
          pwrite(fd, buffer_.data() + written, static_cast<std::size_t>(got - written),
                 static_cast<off_t>(to) + written);
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) throwErrno("writing");
      written += put;
    }
    from += static_cast<std::uint64_t>(got);
    to += static_cast<std::uint64_t>(got);
    count -= static_cast<std::uint64_t>(got);
  }
}

void NodeWriter::setAttribute(int fd, const std::string& viaProc, const std::string& attribute,
                              const std::string& value) {
  const int result =
      fd >= 0 ? fsetxattr(fd, attribute.c_str(), value.data(), value.size(), 0)
              : lsetxattr(viaProc.c_str(), attribute.c_str(), value.data(), value.size(), 0);
  if (result == 0) return;
  if (errno != ENOTSUP && errno != EPERM)
    throwErrno("setting the attribute " + inQuotes(attribute));
  if (report_.xattrsSkipped++ == 0) report_.firstXattrSkipped = attribute;
}

void NodeWriter::setAttributes(int fd, const std::string& viaProc, const TarEntry& entry) {
  for (const auto& [attribute, value] : entry.xattrs)
    setAttribute(fd, viaProc, attribute, value);
  const auto setAcl = [&](const std::string& text, std::string_view attribute) {
    if (text.empty()) return;
    if (const auto value = aclAttribute(text)) {
      setAttribute(fd, viaProc, std::string(attribute), *value);
    } else {
      ++report_.aclsSkipped;
    }
  };
  setAcl(entry.accessAcl, kAccessAclXattr);
  setAcl(entry.defaultAcl, kDefaultAclXattr);
}

}  // namespace actool::cas
