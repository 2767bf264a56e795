// Makes file trees of image tars: one image's as it is, or one with its dependencies.
//
// What a tar brings in is created and never opened: names are made one component at a time
// below directories that were made here (openat2 with RESOLVE_BENEATH, no symbolic links, no
// magic links), into a directory nobody else knows yet. Kept are owner, mode (setuid
// included), modification time to the nanosecond, extended attributes (file capabilities
// included), POSIX ACLs, hard links, holes of sparse files, devices and FIFOs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cas/render_plan.h"
#include "core/base/fs.h"

namespace actool::cas {

// What could not be made as the image has it; not errors, but to be said.
struct RenderReport {
  std::uint64_t files = 0;           // names made, directories included
  std::uint64_t bytes = 0;           // of content written
  std::uint64_t ownersSkipped = 0;   // no rights or no such ID: it belongs to the caller
  std::uint64_t devicesSkipped = 0;  // no rights: device nodes left out
  std::uint64_t xattrsSkipped = 0;   // attributes the caller may not set, or this file system
                                     // does not have
  std::uint64_t aclsSkipped = 0;     // ACLs with names in place of numbers
  std::string firstXattrSkipped;

  // One sentence for each kind of thing that was left out.
  std::vector<std::string> notes() const;
};

struct RenderOptions {
  // Root gives owners and makes devices, a user namespace's gives those it has. Tests render as
  // others would.
  bool owners;
  bool devices;
  unsigned threads = 2;
  RenderOptions();
};

// Makes `dest`, which must not exist, in a directory that does, and fills it with the rootfs
// of `layers`, later ones over earlier ones. Directories without an entry of their own are
// root's, 0755, of 1970. Nothing is synced: the caller does that before it renames `dest` to
// where it is seen. After an error `dest` is left for the caller to remove.
RenderReport renderTree(const std::vector<RenderLayer>& layers, const Path& dest,
                        const RenderOptions& options = {});

}  // namespace actool::cas
