// /dev of the apps (spec/OS-SPEC.md, Devices and File Systems).
//
// It is a file system without device nodes of its own ("nodev"), like everything else that an app
// can write to; the nodes in it are binds of the host's. An app that makes a node with mknod(2)
// makes one that cannot be opened.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/fd.h"
#include "core/base/fs.h"

namespace actool::run::native {

// What the apps of a pod share: POSIX shared memory, message queues and pseudo-terminals.
// Made once, by the supervisor, in its own mount namespace below `stage1Rootfs`/dev.
class SharedDevices {
 public:
  // `messageQueues` as well, which are those of the IPC namespace that this process is in.
  // `firstId` is what the pod's IDs are counted from.
  SharedDevices(const Path& stage1Rootfs, bool messageQueues, std::uint32_t firstId = 0);

  // A new pseudo-terminal of the pod: the master's descriptor. `slave` gets the other side's path
  // in this namespace.
  UniqueFd openTerminal(Path& slave) const;

  Path shm() const { return dir_ / "shm"; }
  Path pts() const { return dir_ / "pts"; }
  Path mqueue() const { return dir_ / "mqueue"; }
  bool hasMessageQueues() const { return messageQueues_; }

 private:
  Path dir_;
  bool messageQueues_;
};

// Mounts /dev in the app's root. `console` is the path of the terminal to be /dev/console; when
// empty that is a place where nothing is read from and nothing comes out of. Returns the /dev
// mount.
UniqueFd mountDevices(int root, const SharedDevices& shared, const Path& console);

}  // namespace actool::run::native
