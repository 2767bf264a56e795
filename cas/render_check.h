// Whether a tree on disk is still what rendering its layers makes.
#pragma once

#include <vector>

#include "cas/render_plan.h"
#include "core/base/fs.h"

namespace actool::cas {

// Compares the tree at `root` with the tars of `layers`: names, kinds, owners, modes, times of
// modification, link targets, device numbers, hard links, extended attributes, access control
// lists, and every byte. What rendering leaves out where it is not root, or where the file system
// has no such attributes, may be missing. TrustError naming the first difference. Reads the tree
// and the tars once; changes nothing, times of access excepted.
void checkRendered(const std::vector<RenderLayer>& layers, const Path& root);

}  // namespace actool::cas
