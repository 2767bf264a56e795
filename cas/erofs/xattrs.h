// An inode's extended attributes as EROFS has them.
#pragma once

#include <cstdint>
#include <string>

#include "cas/aci_tar.h"
#include "cas/render.h"

namespace actool::cas::erofs {

// What follows the inode of `entry`: header and attributes, a multiple of 4 bytes; empty when it
// has none. The same that NodeWriter sets, as the kernel keeps it: an ACL agrees with the mode,
// and one that says no more than the mode is none. What a file of its kind can't have on Linux,
// or that neither EROFS has nor ordinary file systems, is left out and counted. Throws Error
// when EROFS can't hold them all.
std::string encodeXattrs(const TarEntry& entry, RenderReport& report);

}  // namespace actool::cas::erofs
