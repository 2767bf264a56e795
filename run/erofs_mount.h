// An image's EROFS metadata with its tars as the data, mounted read-only: nothing is copied.
//
// There are several ways to it, and which of them this machine has is found out by trying:
//   files     the kernel reads the files themselves (Linux 6.12 and later, not on every file
//   system) loop      each file behind a loop device, which goes with the mount erofsfuse in a
//   process, which goes with the mount
// All of them make a detached mount: it is gone when its descriptor is closed, or with the mount
// namespace to which it was attached, whatever ends the processes there.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cas/layout.h"
#include "core/base/fd.h"
#include "core/base/fs.h"

namespace actool::run {

// A mountable image's files, open for reading. What these descriptors have is what gets mounted,
// whatever happens to the names.
struct ErofsFiles {
  UniqueFd metadata;
  std::vector<UniqueFd> devices;
};

// Throws NotFoundError when one is missing, as the image may be removed at any time until a pod
// needs it; Error when one is no regular file, or a tar has not the size it had when the metadata
// was made.
ErofsFiles openErofsFiles(const cas::MountableImage& image);

enum class ErofsWay { files, loop, fuse };
inline constexpr std::array<ErofsWay, 3> kErofsWays = {ErofsWay::files, ErofsWay::loop,
                                                       ErofsWay::fuse};
std::string_view erofsWayName(ErofsWay way);

// A detached mount (nodev, nosuid: an overlay over it has flags of its own). Throws Error saying
// why this way does not lead there. `fuse` leaves a process behind, in the mount namespace of this
// one: to be called before this process gets the pod's, which that process would keep alive.
UniqueFd mountErofs(const ErofsFiles& files, ErofsWay way);

// By the first way that does. No descriptor when none does; the reasons are said with --debug.
UniqueFd tryMountErofs(const ErofsFiles& files, std::string_view what);

// Attaches a detached mount at the directory `target`.
void attachMount(const UniqueFd& mount, const Path& target);

// An image's mount for all apps of a pod that run it: they have the pages of its files once, and
// none but the first waits for the disk.
class ImageMount {
 public:
  explicit ImageMount(UniqueFd detached) : mount_(std::move(detached)) {}

  int fd() const { return mount_.get(); }
  // Has its files' owners mapped, as the user namespace says; to be asked before attach(). False
  // where the kernel can't do it.
  bool mapOwners(int userNamespace);
  // At the directory `target`: the mount itself, and one more of the same file system each time
  // after that. All in the mount namespace that this process was in the first time.
  void attach(const Path& target);

 private:
  UniqueFd mount_;
  bool attached_ = false;
  std::optional<bool> mapped_;
};

}  // namespace actool::run
