// Writes a tree as EROFS metadata over the tars that its files' data lies in: mounted from the
// image written here and the tars as extra devices, it is what renderTree() makes, and nothing
// was unpacked. What EROFS can't express is an Error, so that the caller renders instead.
//
// The same tree over the same devices gives the same bytes. Memory goes with the number of
// entries. Kernel 6.4 and later take 512-byte blocks from a block device or file as they are.
//
// A file's last block comes from the tar as it is there: what is behind the end of the file, for
// who maps it into memory, is the tar's padding.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cas/render.h"
#include "cas/render_tree.h"

namespace actool::cas {

// A tar that files' data lies in: an extra device of the image.
struct ErofsDevice {
  std::string tag;         // 1 to 64 bytes for people ("dump.erofs" shows them)
  std::uint64_t size = 0;  // bytes of the tar
  int tar = -1;            // what can't be used where it lies is copied from here
};

struct ErofsLimits {
  // Of the image written here: a million entries need 100 MiB. A sparse file can ask for any
  // number of chunks, and this is also what the check of the image maps into memory.
  std::uint64_t bytes = 512 << 20;
};

// Writes the image of `tree` to the empty file `out`, and syncs nothing. `deviceOfLayer` has, for
// each layer of the tree, the index of its tar in `devices`. Of the report, `files` counts
// names and `bytes` is the image's size. Error when EROFS can't hold the tree (saying what of
// it), TrustError when a tar is shorter than the tree says.
RenderReport writeErofs(const RenderTree& tree, const std::vector<ErofsDevice>& devices,
                        const std::vector<std::size_t>& deviceOfLayer, int out,
                        const ErofsLimits& limits = {});

}  // namespace actool::cas
