#include "cas/aci_build.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <map>

#include "cas/aci_acl.h"
#include "cas/aci_input.h"
#include "cas/aci_path.h"
#include "cas/aci_xattr.h"
#include "core/base/error.h"
#include "core/schema/image_manifest.h"

namespace actool::cas {

namespace {

std::vector<SparsePiece> findPieces(int fd, std::uint64_t size, const std::string& what) {
  std::vector<SparsePiece> pieces;
  off_t at = 0;
  const auto end = static_cast<off_t>(size);
  while (at < end) {
    const off_t start = lseek(fd, at, SEEK_DATA);
    if (start < 0 && errno == ENXIO) break;  // only a hole is left
    if (start < 0) throwErrno("looking for holes in " + what);
    const off_t stop = lseek(fd, start, SEEK_HOLE);
    if (stop < 0) throwErrno("looking for holes in " + what);
    pieces.push_back({static_cast<std::uint64_t>(start), static_cast<std::uint64_t>(stop - start)});
    at = stop;
  }
  return pieces;
}

class Builder {
 public:
  Builder(ByteSink& sink, bool ownerRoot)
      : writer_(sink), ownerRoot_(ownerRoot), buffer_(256 << 10) {}

  void run(const Path& layout) {
    const UniqueFd dir = openFile(layout.string(), O_RDONLY | O_DIRECTORY);
    add(dir.get(), "manifest", "manifest");
    add(dir.get(), "rootfs", "rootfs");
    writer_.finish();
  }

 private:
  // `name` in `dirFd`, and all below it; never through a symbolic link.
  void add(int dirFd, const std::string& name, const std::string& path) {
    withContext("entry " + inQuotes(path), [&] {
      struct stat info {};
      if (fstatat(dirFd, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
        throwErrno("looking at it");
      if (path == "manifest" && !S_ISREG(info.st_mode)) throw Error("it is no regular file");
      TarEntry entry = describe(info, path);
      if (!S_ISDIR(info.st_mode) && info.st_nlink > 1 && path != "manifest") {
        const auto [seen, fresh] = links_.try_emplace({info.st_dev, info.st_ino}, path);
        if (!fresh) {
          entry.type = TarType::hardLink;
          entry.linkTarget = seen->second;
          writer_.begin(entry);
          return;
        }
      }
      const std::string viaProc = "/proc/self/fd/" + std::to_string(dirFd) + "/" + name;
      readAttributes(viaProc, entry);
      if (S_ISREG(info.st_mode)) {
        addFile(dirFd, name, info, entry);
      } else if (S_ISDIR(info.st_mode)) {
        writer_.begin(entry);
        const UniqueFd below = openFileAt(dirFd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
        for (const std::string& child : listDir("/proc/self/fd/" + std::to_string(below.get()))) {
          add(below.get(), child, path + "/" + child);
        }
      } else {
        if (S_ISLNK(info.st_mode)) entry.linkTarget = readTarget(dirFd, name);
        writer_.begin(entry);
      }
    });
  }

  // ACLs go as text, which is how tar(1) --acls and libarchive want them.
  static void readAttributes(const std::string& viaProc, TarEntry& entry) {
    entry.xattrs = readXattrs(viaProc);
    const auto move = [&](std::string_view attribute, std::string& text) {
      const auto found = entry.xattrs.find(std::string(attribute));
      if (found == entry.xattrs.end()) return;
      text = aclText(found->second);
      entry.xattrs.erase(found);
    };
    move(kAccessAclXattr, entry.accessAcl);
    move(kDefaultAclXattr, entry.defaultAcl);
  }

  TarEntry describe(const struct stat& info, const std::string& path) const {
    TarEntry entry;
    entry.path = path;
    entry.mode = info.st_mode & 07777;
    entry.uid = ownerRoot_ ? 0 : info.st_uid;
    entry.gid = ownerRoot_ ? 0 : info.st_gid;
    entry.mtime = {info.st_mtim.tv_sec, static_cast<std::int32_t>(info.st_mtim.tv_nsec)};
    switch (info.st_mode & S_IFMT) {
      case S_IFREG:
        entry.type = TarType::regular;
        break;
      case S_IFDIR:
        entry.type = TarType::directory;
        break;
      case S_IFLNK:
        entry.type = TarType::symlink;
        break;
      case S_IFIFO:
        entry.type = TarType::fifo;
        break;
      case S_IFCHR:
        entry.type = TarType::charDevice;
        break;
      case S_IFBLK:
        entry.type = TarType::blockDevice;
        break;
      default:
        throw Error("a socket has no place in an image", "remove it from the layout");
    }
    entry.deviceMajor = major(info.st_rdev);
    entry.deviceMinor = minor(info.st_rdev);
    return entry;
  }

  void addFile(int dirFd, const std::string& name, const struct stat& info, TarEntry& entry) {
    const UniqueFd fd = openFileAt(dirFd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    struct stat now {};
    if (fstat(fd.get(), &now) != 0) throwErrno("looking at it");
    if (now.st_dev != info.st_dev || now.st_ino != info.st_ino) {
      throw Error("it was replaced while it was read");
    }
    entry.size = entry.dataSize = static_cast<std::uint64_t>(info.st_size);
    std::vector<SparsePiece> pieces = {{0, entry.size}};
    // The manifest is never sparse: everybody has to be able to read it.
    if (info.st_blocks * 512 < info.st_size && entry.path != "manifest") {
      pieces = findPieces(fd.get(), entry.size, name);
      entry.dataSize = 0;
      for (const SparsePiece& piece : pieces)
        entry.dataSize += piece.length;
      entry.sparse = entry.dataSize != entry.size;
      entry.pieces = pieces;
    }
    writer_.begin(entry);
    for (const SparsePiece& piece : pieces)
      copy(fd.get(), piece, name);
    writer_.end();
  }

  void copy(int fd, SparsePiece piece, const std::string& what) {
    while (piece.length > 0) {
      const std::size_t step =
          static_cast<std::size_t>(std::min<std::uint64_t>(piece.length, buffer_.size()));
      const ssize_t got = pread(fd, buffer_.data(), step, static_cast<off_t>(piece.offset));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) throwErrno("reading " + what);
      if (got == 0) throw Error("the file shrank while it was read");
      writer_.data(std::span(buffer_).first(static_cast<std::size_t>(got)));
      piece.offset += static_cast<std::uint64_t>(got);
      piece.length -= static_cast<std::uint64_t>(got);
    }
  }

  static std::string readTarget(int dirFd, const std::string& name) {
    std::string target(4096, '\0');
    const ssize_t length = readlinkat(dirFd, name.c_str(), target.data(), target.size());
    if (length < 0) throwErrno("reading the symbolic link");
    target.resize(static_cast<std::size_t>(length));
    return target;
  }

  TarWriter writer_;
  const bool ownerRoot_;
  std::vector<std::byte> buffer_;
  std::map<std::pair<dev_t, ino_t>, std::string> links_;
};

}  // namespace

void checkLayout(const Path& layout) {
  withContext("image layout " + layout.string(), [&] {
    struct stat info {};
    if (stat(layout.c_str(), &info) != 0) throwErrno("looking at it");
    if (!S_ISDIR(info.st_mode)) throw Error("it is no directory");
    bool manifest = false;
    bool rootfs = false;
    for (const std::string& name : listDir(layout)) {
      const Path path = layout / name;
      if (lstat(path.c_str(), &info) != 0) throwErrno("looking at " + inQuotes(name));
      if (name == "manifest") {
        if (!S_ISREG(info.st_mode)) throw Error("\"manifest\" is no regular file");
        schema::ImageManifest::parse(readFile(path, schema::kMaxManifestBytes), "manifest");
        manifest = true;
      } else if (name == "rootfs") {
        if (!S_ISDIR(info.st_mode)) throw Error("\"rootfs\" is no directory");
        rootfs = true;
      } else {
        throw Error(inQuotes(name) + " does not belong there",
                    "only \"manifest\" and \"rootfs\" may be at the top of a layout");
      }
    }
    if (!manifest) throw Error("it has no manifest");
    if (!rootfs) throw Error("it has no rootfs");
  });
}

AciSummary buildAci(const Path& layout, const Path& output, const BuildOptions& options) {
  checkLayout(layout);
  AciOutput file(output, options.output);
  withContext("building " + output.string(), [&] {
    Builder(file, options.ownerRoot).run(layout);
    file.close();
  });
  AciSummary summary = [&] {
    AciFile written(file.temporary());
    return withContext("building " + output.string(), [&] { return checkAci(written); });
  }();
  file.commit();
  return summary;
}

}  // namespace actool::cas
