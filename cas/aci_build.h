// Makes ACIs of image layouts: directories with a `manifest` and a `rootfs` (appc spec/aci.md).
#pragma once

#include "cas/aci_check.h"
#include "cas/aci_output.h"
#include "core/base/fs.h"

namespace actool::cas {

struct BuildOptions {
  OutputOptions output;
  bool ownerRoot = false;  // everything belongs to 0:0, whoever it belongs to on disk
};

// The checks on a layout that need no reading of its files: manifest and rootfs are there and of
// their kinds, nothing else is beside them, the manifest is valid. Throws Error.
void checkLayout(const Path& layout);

// Writes the layout as an ACI. Entries come sorted by name, the manifest first; the same
// layout makes the same bytes. Kept are owners, modes, times to the nanosecond, extended
// attributes (but for those that mean something on this machine only), hard links within
// the rootfs, holes, devices and FIFOs. Sockets are refused. What was written is read back and
// checked as any image before it gets its name.
AciSummary buildAci(const Path& layout, const Path& output, const BuildOptions& options);

}  // namespace actool::cas
