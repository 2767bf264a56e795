// The check before a run that what the store has is what it was when it was verified
// (docs/store-format.md, Stamps). Reads no content itself.
#pragma once

#include <chrono>
#include <string_view>
#include <vector>

#include "cas/layout.h"
#include "cas/layout/stamp.h"
#include "core/base/config_file.h"
#include "core/schema/image_id.h"
#include "run/erofs_mount.h"

namespace actool::run {

// How long a stamp is believed: `max-age` of the last ondisk.d/*.json, 30 days without one.
// UsageError on what is no duration.
std::chrono::seconds stampAge(const ConfigDirs& dirs);

// The images whose files have to be read before a pod may lie on `image`: no stamp, an old one, or
// the files look otherwise than they did. `id` itself stands for the metadata.
std::vector<schema::ImageId> imagesToVerify(const cas::StoreLayout& layout,
                                            const schema::ImageId& id,
                                            const cas::MountableImage& image,
                                            const ErofsFiles& files, std::chrono::seconds maxAge);

// Whether the unpacked tree of that name has to be compared with the image: no stamp, an old one,
// or it looks otherwise than `look`, as it did.
bool mustVerifyTree(const cas::StoreLayout& layout, std::string_view key, const cas::FileLook& look,
                    std::chrono::seconds maxAge);

// TrustError when what is open in `files` has not got the names of `image` any more: what was
// verified by name in between is something else.
void requireSameFiles(const cas::MountableImage& image, const ErofsFiles& files);

}  // namespace actool::run
