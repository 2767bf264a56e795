#include "cas/aci_check.h"

#include <optional>

#include "cas/aci_acl.h"
#include "cas/aci_path.h"
#include "cas/aci_path_set.h"
#include "cas/aci_xattr.h"
#include "core/base/error.h"

namespace actool::cas {

namespace {

constexpr std::string_view kManifest = "manifest";

class Checker {
 public:
  Checker(AciSource& source, const AciLimits& limits)
      : limits_(limits), reader_(source, limits.tar) {}

  AciSummary run() {
    while (auto entry = reader_.next())
      check(*entry);
    if (!manifestBytes_) throw TrustError("the archive has no manifest");
    if (paths_.find(kRootfs) != PathKind::directory) {
      throw TrustError("the archive has no entry for the directory \"rootfs\"");
    }
    const std::uint64_t tarBytes = reader_.finish();
    return {parseManifest(), *manifestBytes_, entries_, files_, contentBytes_, tarBytes};
  }

 private:
  [[noreturn]] static void refuse(const TarEntry& entry, const std::string& why) {
    throw TrustError("entry " + inQuotes(entry.path) + ": " + why);
  }

  schema::ImageManifest parseManifest() const {
    try {
      return schema::ImageManifest::parse(*manifestBytes_, "manifest");
    } catch (const Error& error) {
      throw TrustError(error.what());  // the line stays, the exit code says whose fault it is
    }
  }

  std::string normalized(const TarEntry& entry, const std::string& path, std::string_view what) {
    try {
      return normalPath(path, {limits_.depth, limits_.component});
    } catch (const Error& error) {
      refuse(entry, std::string(what) + error.what());
    }
  }

  void check(const TarEntry& entry) {
    ++entries_;
    const std::string path = normalized(entry, entry.path, "");
    if (path.empty()) {
      if (entry.type != TarType::directory) refuse(entry, "it is no directory");
      if (dotSeen_) refuse(entry, "a second entry of this name");
      dotSeen_ = true;
      return;
    }
    if (path == kManifest) return checkManifest(entry);
    if (path == kRootfs) {
      if (entry.type != TarType::directory) {
        refuse(entry, "it is a " + std::string(name(entry.type)) + " where a directory belongs");
      }
    } else if (!path.starts_with("rootfs/")) {
      refuse(entry, "only \"manifest\" and \"rootfs\" belong at the top of an image");
    }
    checkParents(entry, path);
    place(entry, path);
    checkAttributes(entry);
    if (entry.type == TarType::regular) {
      ++files_;
      contentBytes_ += entry.size;
    }
  }

  static void checkAttributes(const TarEntry& entry) {
    for (const auto& [name, value] : entry.xattrs) {
      // XATTR_NAME_MAX and XATTR_SIZE_MAX of Linux.
      if (name.empty() || name.size() > 255 || value.size() > 65536) {
        refuse(entry, "the extended attribute " + inQuotes(name) + " is longer than any can be");
      }
      if (isOverlayXattr(name)) {
        refuse(entry, "the extended attribute " + inQuotes(name) +
                          " is overlayfs's own and would lead it astray");
      }
    }
    for (const std::string* acl : {&entry.accessAcl, &entry.defaultAcl}) {
      if (acl->empty()) continue;
      try {
        aclAttribute(*acl);
      } catch (const Error& error) {
        refuse(entry, error.what());
      }
    }
  }

  void checkManifest(const TarEntry& entry) {
    if (manifestBytes_) refuse(entry, "a second manifest");
    if (entry.type != TarType::regular || entry.sparse) {
      refuse(entry, "the manifest must be a plain regular file");
    }
    if (entry.size == 0) refuse(entry, "the manifest is empty");
    if (entry.size > limits_.manifestBytes) {
      refuse(entry, "a manifest of " + std::to_string(entry.size) + " bytes; " +
                        std::to_string(limits_.manifestBytes) + " is the limit");
    }
    std::string bytes;
    for (auto piece = reader_.data(); !piece.empty(); piece = reader_.data()) {
      bytes.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    }
    manifestBytes_ = std::move(bytes);
  }

  // Every path in front of `path` is a directory, or becomes one.
  void checkParents(const TarEntry& entry, std::string_view path) {
    const std::string_view parent = parentOf(path);
    if (parent.empty() || parent == knownParent_) return;
    for (std::size_t end = path.find('/'); end != path.npos; end = path.find('/', end + 1)) {
      const std::string_view above = path.substr(0, end);
      const auto kind = paths_.find(above);
      if (!kind) {
        remember(entry, above, PathKind::implied);
      } else if (*kind == PathKind::symlink) {
        refuse(entry, "it passes through the symbolic link " + inQuotes(above));
      } else if (*kind == PathKind::other) {
        refuse(entry, "it lies below " + inQuotes(above) + ", which is no directory");
      }
    }
    knownParent_ = parent;
  }

  void place(const TarEntry& entry, const std::string& path) {
    const auto before = paths_.find(path);
    if (before && *before != PathKind::implied) refuse(entry, "a second entry of this name");
    if (before && entry.type != TarType::directory) {
      refuse(entry, "it is a " + std::string(name(entry.type)) +
                        ", but entries before it lie below it as a directory");
    }
    PathKind kind = PathKind::other;
    if (entry.type == TarType::directory) kind = PathKind::directory;
    if (entry.type == TarType::symlink) kind = PathKind::symlink;
    if (entry.type == TarType::hardLink) kind = linkedKind(entry);
    remember(entry, path, kind);
  }

  PathKind linkedKind(const TarEntry& entry) {
    const std::string target = normalized(entry, entry.linkTarget, "its target: ");
    if (!target.starts_with("rootfs/")) {
      refuse(entry, "a hard link to " + inQuotes(entry.linkTarget) + ", outside of rootfs");
    }
    const auto kind = paths_.find(target);
    if (!kind) {
      refuse(entry, "a hard link to " + inQuotes(entry.linkTarget) + ", which is no earlier entry");
    }
    if (*kind == PathKind::directory || *kind == PathKind::implied) {
      refuse(entry, "a hard link to the directory " + inQuotes(entry.linkTarget));
    }
    return *kind;
  }

  void remember(const TarEntry& entry, std::string_view path, PathKind kind) {
    paths_.put(path, kind);
    if (paths_.size() > limits_.entries) {
      refuse(entry, "more than " + std::to_string(limits_.entries) + " paths in the archive");
    }
  }

  const AciLimits limits_;
  TarReader reader_;
  PathSet paths_;
  std::string knownParent_;  // a directory for sure: entries of one directory come together
  std::optional<std::string> manifestBytes_;
  bool dotSeen_ = false;
  std::uint64_t entries_ = 0;
  std::uint64_t files_ = 0;
  std::uint64_t contentBytes_ = 0;
};

}  // namespace

AciSummary checkAci(AciSource& source, const AciLimits& limits) {
  return Checker(source, limits).run();
}

}  // namespace actool::cas
