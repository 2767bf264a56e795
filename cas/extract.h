// Unpacks one image as it is: `image extract`.
#pragma once

#include "cas/render.h"

namespace actool::cas {

// Makes `dest`, which must not exist, with the image's `manifest` and `rootfs` in it, or, with
// `rootfsOnly`, with what is in rootfs. Dependencies and pathWhitelist play no part. `tar` is an
// uncompressed image that passed checkAci(). As renderTree() otherwise.
RenderReport extractImage(const schema::ImageId& id, const Path& tar, const Path& dest,
                          bool rootfsOnly, const RenderOptions& options = {});

}  // namespace actool::cas
