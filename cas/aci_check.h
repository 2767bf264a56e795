// The check every image passes before it is committed: is this uncompressed tar an App
// Container Image (appc spec/aci.md, Image Archives), and nothing that only looks like one?
//
// One pass over a stream, for a pipeline's own thread; memory is bounded by the limits and
// does not depend on the image's size (paths are remembered as keyed 128-bit hashes). What
// passes here is exactly what renderTree() can make:
//   - v7, ustar, GNU and pax archives, sparse files of all GNU forms included
//   - exactly two top-level names: `manifest`, one regular file (sparse or empty is
//     refused), and `rootfs`, a directory with an entry of its own; in any order
//   - "./" in front is dropped; absolute names, empty, "." or ".." components, NULs and what
//     is over the limits are refused, as are two entries for one path
//   - nothing lies below a path that is not a directory, whichever comes first
//   - a hard link names an earlier entry below rootfs that is no directory. Forward links
//     are refused: tar(1) can't extract them either. A link to a link is fine, and so is
//     one to a symbolic link (the link itself is meant; it is never followed)
//   - symbolic links as such may point anywhere, absolute or not
//   - character and block devices and FIFOs are fine; sockets, volume labels, multi-volume
//     parts and incremental dumps are refused
//   - extended attributes have sizes that Linux takes, none is overlayfs's own, and ACLs parse
//   - the end-of-archive marker is there, and only zeros follow it
#pragma once

#include <cstdint>
#include <string>

#include "cas/aci_source.h"
#include "cas/aci_tar.h"
#include "core/schema/image_manifest.h"

namespace actool::cas {

struct AciLimits {
  TarLimits tar;
  // Paths, directories without an entry of their own included. A full desktop distribution
  // has 300,000; at 16 bytes a path this keeps the memory of them within 32 MiB.
  std::uint64_t entries = 1'000'000;
  // What lies deeper exhausts the patience of find(1) and of every recursive tool.
  std::size_t depth = 256;
  std::size_t component = 255;  // NAME_MAX of every Linux file system
  std::size_t manifestBytes = schema::kMaxManifestBytes;
};

struct AciSummary {
  schema::ImageManifest manifest;
  std::string manifestBytes;       // as in the tar
  std::uint64_t entries = 0;       // of every kind, manifest and rootfs included
  std::uint64_t files = 0;         // regular files below rootfs
  std::uint64_t contentBytes = 0;  // their sizes added up, holes included
  std::uint64_t tarBytes = 0;      // the whole stream
};

// Reads `source` to its end. TrustError with one line naming the entry when a rule is
// broken; errors of the source pass through.
AciSummary checkAci(AciSource& source, const AciLimits& limits = {});

}  // namespace actool::cas
