#include "cas/render_check.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "cas/aci_acl.h"
#include "cas/aci_path.h"
#include "cas/aci_xattr.h"
#include "cas/render_tree.h"
#include "cas/render_writer.h"
#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/base/id_map.h"
#include "core/base/strings.h"

namespace actool::cas {

namespace {

constexpr std::size_t kCompareBytes = 256 << 10;

// Thrown with what differs; the path is put before it.
[[noreturn]] void differs(std::string_view what) {
  throw TrustError(std::string(what) + " differs");
}

void require(bool same, std::string_view what) {
  if (!same) differs(what);
}

std::set<std::string, std::less<>> namesIn(int dirFd) {
  // A descriptor of its own, whose position is its own.
  UniqueFd fd = openFileAt(dirFd, ".", O_RDONLY | O_DIRECTORY);
  DIR* dir = ::fdopendir(fd.get());
  if (dir == nullptr) throwErrno("reading a directory");
  (void)fd.release();
  std::set<std::string, std::less<>> names;
  while (const dirent* entry = ::readdir(dir)) {  // NOLINT(concurrency-mt-unsafe): its own stream
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace(name);
  }
  ::closedir(dir);
  return names;
}

// What chmod(2) leaves of an access list: the entries for named users and groups, and with them the
// owning group's. The others are the mode, which is compared as such.
std::set<std::string> namedEntries(std::string_view attribute) {
  std::set<std::string> entries;
  bool named = false;
  const std::string text = aclText(attribute);
  for (const std::string_view entry : split(text, ',')) {
    if (entry.starts_with("mask:") || entry.starts_with("other:") || entry.starts_with("user::")) {
      continue;
    }
    named = named || !entry.starts_with("group::");
    entries.emplace(entry);
  }
  return named ? entries : std::set<std::string>();
}

class TreeComparison {
 public:
  explicit TreeComparison(const LayeredTree& layered)
      : layered_(layered),
        tree_(layered.tree()),
        privileged_(geteuid() == 0),
        hostRoot_(privileged_ && !inUserNamespace()),
        seen_(tree_.inodes().size()) {}

  void directory(int fd, const RenderNode& node, const std::string& path) {
    withContext(path.empty() ? std::string("its root") : inQuotes(path), [&] {
      struct stat info {};
      if (::fstat(fd, &info) != 0) throwErrno("looking at it");
      const TarEntry& entry = tree_.directoryEntry(node);
      metadata(info, entry);
      attributes("/proc/self/fd/" + std::to_string(fd) + "/.", entry);
    });
    auto there = namesIn(fd);
    for (const auto& [name, child] : node.children) {
      const std::string below = path.empty() ? name : path + "/" + name;
      const bool found = there.erase(name) > 0;
      if (child->directory) {
        if (!found) throw TrustError(inQuotes(below) + " is missing");
        const UniqueFd next = withContext(inQuotes(below), [&, &name = name] {
          return openFileAt(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
        });
        directory(next.get(), *child, below);
      } else if (found) {
        withContext(inQuotes(below),
                    [&, &name = name, &child = child] { file(fd, name, child->inode); });
      } else if (!mayBeMissing(tree_.inodes()[child->inode].entry)) {
        throw TrustError(inQuotes(below) + " is missing");
      }
    }
    if (!there.empty()) {
      const std::string& name = *there.begin();
      throw TrustError(inQuotes(path.empty() ? name : path + "/" + name) + " is not of the image");
    }
  }

 private:
  bool mayBeMissing(const TarEntry& entry) const {
    return !hostRoot_ && (entry.type == TarType::charDevice || entry.type == TarType::blockDevice);
  }

  void metadata(const struct stat& info, const TarEntry& entry) const {
    require((info.st_mode & S_IFMT) == kindBits(entry.type), "its kind");
    const bool hasOwner = users_.has(entry.uid) && groups_.has(entry.gid);
    if (entry.type != TarType::symlink) {
      require((info.st_mode & 07777) == renderedMode(entry.mode, !privileged_ || hasOwner),
              "its mode");
    }
    if (privileged_) {
      require(
          info.st_uid == (hasOwner ? entry.uid : 0) && info.st_gid == (hasOwner ? entry.gid : 0),
          "its owner");
    }
    require(info.st_mtim.tv_sec == entry.mtime.seconds &&
                info.st_mtim.tv_nsec == entry.mtime.nanoseconds,
            "its time of modification");
  }

  void file(int dirFd, const std::string& name, std::size_t index) {
    const RenderInode& inode = tree_.inodes()[index];
    const TarEntry& entry = inode.entry;
    struct stat info {};
    if (::fstatat(dirFd, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
      throwErrno("looking at it");
    }
    if (seen_[index]) {
      require(info.st_ino == *seen_[index], "what it is a hard link to");
      return;
    }
    seen_[index] = info.st_ino;
    metadata(info, entry);
    attributes("/proc/self/fd/" + std::to_string(dirFd) + "/" + name, entry);
    if (entry.type == TarType::charDevice || entry.type == TarType::blockDevice) {
      require(info.st_rdev == makedev(entry.deviceMajor, entry.deviceMinor), "its device number");
    } else if (entry.type == TarType::symlink) {
      std::string target(entry.linkTarget.size() + 1, '\0');
      const ssize_t got = ::readlinkat(dirFd, name.c_str(), target.data(), target.size());
      if (got < 0) throwErrno("reading the link");
      target.resize(static_cast<std::size_t>(got));
      require(target == entry.linkTarget, "its target");
    } else if (entry.type == TarType::regular) {
      require(static_cast<std::uint64_t>(info.st_size) == entry.size, "its size");
      const UniqueFd fd = openFileAt(dirFd, name, O_RDONLY | O_NOFOLLOW);
      content(fd.get(), entry, layered_.tar(inode));
    }
  }

  void content(int fd, const TarEntry& entry, int tarFd) {
    if (!entry.sparse) {
      sameBytes(fd, 0, tarFd, entry.dataOffset, entry.size);
      return;
    }
    std::uint64_t from = entry.dataOffset;
    std::uint64_t at = 0;
    for (const SparsePiece& piece : entry.pieces) {
      zeros(fd, at, piece.offset);
      sameBytes(fd, piece.offset, tarFd, from, piece.length);
      from += piece.length;
      at = piece.offset + piece.length;
    }
    zeros(fd, at, entry.size);
  }

  static void readAt(int fd, std::span<std::byte> into, std::uint64_t offset) {
    while (!into.empty()) {
      const ssize_t got = ::pread(fd, into.data(), into.size(), static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) throwErrno("reading it");
      if (got == 0) differs("its size");
      offset += static_cast<std::uint64_t>(got);
      into = into.subspan(static_cast<std::size_t>(got));
    }
  }

  void sameBytes(int fd, std::uint64_t at, int tarFd, std::uint64_t from, std::uint64_t count) {
    while (count > 0) {
      const auto step = static_cast<std::size_t>(std::min<std::uint64_t>(count, kCompareBytes));
      readAt(fd, std::span(left_).first(step), at);
      readAt(tarFd, std::span(right_).first(step), from);
      require(std::memcmp(left_.data(), right_.data(), step) == 0, "its content");
      at += step;
      from += step;
      count -= step;
    }
  }

  // That [at, end) has no other bytes; holes are passed over.
  void zeros(int fd, std::uint64_t at, std::uint64_t end) {
    while (at < end) {
      const off_t data = ::lseek(fd, static_cast<off_t>(at), SEEK_DATA);
      if (data < 0 && errno == ENXIO) return;
      if (data < 0) throwErrno("looking for holes");
      at = static_cast<std::uint64_t>(data);
      if (at >= end) return;
      const auto step = static_cast<std::size_t>(std::min<std::uint64_t>(end - at, kCompareBytes));
      readAt(fd, std::span(left_).first(step), at);
      require(std::all_of(left_.begin(), left_.begin() + static_cast<std::ptrdiff_t>(step),
                          [](std::byte byte) { return byte == std::byte{0}; }),
              "its content");
      at += step;
    }
  }

  void attributes(const std::string& path, const TarEntry& entry) const {
    auto there = readXattrs(path);
    const auto take = [&](std::string_view name) {
      const auto found = there.find(std::string(name));
      if (found == there.end()) return std::string();
      std::string value = std::move(found->second);
      there.erase(found);
      return value;
    };
    const std::string access = take(kAccessAclXattr);
    const std::string byDefault = take(kDefaultAclXattr);
    lists(path, entry, access, byDefault);
    for (const auto& [name, value] : entry.xattrs) {
      if (name == kAccessAclXattr || name == kDefaultAclXattr) continue;  // compared above
      const auto found = there.find(name);
      if (found == there.end()) {
        require(isMachineXattr(name) || leftOut(path, name, entry),
                "its attribute " + inQuotes(name));
        continue;
      }
      require(found->second == value, "its attribute " + inQuotes(name));
      there.erase(found);
    }
    if (!there.empty()) {
      throw TrustError("the attribute " + inQuotes(there.begin()->first) + " is not of the image");
    }
  }

  void lists(const std::string& path, const TarEntry& entry, const std::string& access,
             const std::string& byDefault) const {
    // As NodeWriter has it: the list as text, unless that names somebody without a number, else the
    // attribute as it is, which GNU tar may write beside it.
    const auto wanted = [&](const std::string& text, std::string_view attribute) -> std::string {
      const std::string name(attribute);
      if (leftOut(path, name, entry)) return {};
      const auto value = text.empty() ? std::nullopt : aclAttribute(text);
      if (value) return *value;
      const auto raw = entry.xattrs.find(name);
      return raw != entry.xattrs.end() ? raw->second : std::string();
    };
    const auto named = [](const std::string& attribute) {
      return attribute.empty() ? std::set<std::string>() : namedEntries(attribute);
    };
    require(named(access) == named(wanted(entry.accessAcl, kAccessAclXattr)), "its access list");
    const std::string expected = wanted(entry.defaultAcl, kDefaultAclXattr);
    require((byDefault.empty() ? byDefault : aclText(byDefault)) ==
                (expected.empty() ? expected : aclText(expected)),
            "its default access list");
  }

  // As NodeWriter leaves attributes out: the file system or the kind of file has none of them, or
  // the caller may not set them.
  bool leftOut(const std::string& path, const std::string& name, const TarEntry& entry) const {
    const bool plain = entry.type == TarType::regular || entry.type == TarType::directory;
    if (name.starts_with("user.") && !plain) return true;
    if (::lgetxattr(path.c_str(), name.c_str(), nullptr, 0) >= 0) return false;
    return errno == ENOTSUP || !hostRoot_;
  }

  const LayeredTree& layered_;
  const RenderTree& tree_;
  const bool privileged_;
  const bool hostRoot_;
  const IdMap users_ = IdMap::ofUsers();
  const IdMap groups_ = IdMap::ofGroups();
  std::vector<std::optional<ino_t>> seen_;  // by inode of the tree: its first name's
  std::array<std::byte, kCompareBytes> left_{};
  std::array<std::byte, kCompareBytes> right_{};
};

}  // namespace

void checkRendered(const std::vector<RenderLayer>& layers, const Path& root) {
  const LayeredTree layered(layers);
  withContext(root.string() + " is not what its tars make", [&] {
    const UniqueFd fd = openFile(root.string(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    std::make_unique<TreeComparison>(layered)->directory(fd.get(), layered.tree().root(), "");
  });
}

}  // namespace actool::cas
