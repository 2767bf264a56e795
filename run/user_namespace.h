// User namespaces of pods (--private-users): a pod's IDs 0 to count-1 are the host's IDs from
// `first` on.
//
// Images and volumes keep the owners they have: their mounts are given the same mapping (Linux
// 5.12 and a file system that can), so a file of root's is the pod's root's, and nothing is changed
// on disk.
#pragma once

#include <sys/types.h>

#include "core/base/fd.h"
#include "core/base/fs.h"
#include "core/base/id_range.h"

namespace actool::run {

// A user namespace with that mapping, users and groups alike. It has no process and lives as
// long as the descriptor. SystemError.
UniqueFd makeUserNamespace(const IdRange& range);

// A detached copy of the mount of the directory or file at `path`, without what is mounted below.
UniqueFd detachedMount(const Path& path);

// Maps the owners of a detached mount (`recursive`: and of those below it) as the namespace maps
// IDs. False when the kernel or the file system cannot. SystemError.
bool mapMountOwners(int mount, int userNamespace, bool recursive);

// As long as it lives this thread makes files as the range's root, with the capabilities it has:
// on a mapped mount nobody else can. Needs CAP_SETPCAP.
class FileIdentity {
 public:
  explicit FileIdentity(const IdRange& range);
  ~FileIdentity();
  FileIdentity(const FileIdentity&) = delete;
  FileIdentity& operator=(const FileIdentity&) = delete;

 private:
  uid_t user_;
  gid_t group_;
  int bits_;
};

// Where mounts can't be mapped: gives everything in a tree to the owner in the range that stands
// for the one it has. Owners above the range's count, and those that are in the range already,
// stay. Symbolic links are changed, not followed.
void shiftOwners(const Path& tree, const IdRange& range);

}  // namespace actool::run
