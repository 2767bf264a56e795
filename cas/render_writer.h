// Writes single nodes of a tree into a directory: the system calls of rendering.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "cas/aci_tar.h"
#include "cas/render.h"
#include "core/base/fd.h"
#include "core/base/id_map.h"

namespace actool::cas {

// openat2(2) of the directory `path` below `rootFd` ("" is the root itself): beneath it, through
// no link of any kind. Throws SystemError.
UniqueFd openDirBeneath(int rootFd, const std::string& path);

// The mode that a file gets: set-user-ID and set-group-ID are of the image's owner, and of nobody
// when there is no such ID here (`hasOwner` false).
inline mode_t renderedMode(mode_t mode, bool hasOwner) {
  return hasOwner ? mode : mode & ~mode_t{06000};
}

// One for each thread. Names are single components; `dirFd` is the directory they are made in.
class NodeWriter {
 public:
  NodeWriter(bool owners, bool devices);

  // A file, link, device or FIFO that is not there yet, with all its metadata. `tarFd` has the
  // data of regular files. False when it was left out (a device, where there are to be none).
  bool make(int dirFd, const std::string& name, const TarEntry& entry, int tarFd);
  // Owner, mode, attributes and times of the directory `fd`.
  void finishDirectory(int fd, const TarEntry& entry);

  const RenderReport& report() const { return report_; }

 private:
  void writeContent(int fd, const TarEntry& entry, int tarFd);
  void copyRange(int fd, int tarFd, std::uint64_t from, std::uint64_t to, std::uint64_t count);
  bool ownerDiffers(const TarEntry& entry);
  mode_t modeOf(const TarEntry& entry) const;
  bool hasOwner(const TarEntry& entry) const;
  // By descriptor, or by "/proc/self/fd/N/name" (the link itself, not what it points to).
  void setAttributes(int fd, const std::string& viaProc, const TarEntry& entry);
  void setAttribute(int fd, const std::string& viaProc, const std::string& attribute,
                    const std::string& value);

  bool owners_;
  bool devices_;
  IdMap users_ = IdMap::ofUsers();
  IdMap groups_ = IdMap::ofGroups();
  uid_t uid_;
  gid_t gid_;
  bool copyFileRange_ = true;
  std::vector<std::byte> buffer_;
  RenderReport report_;
};

}  // namespace actool::cas
