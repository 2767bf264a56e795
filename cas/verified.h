// Writes the stamps (cas/layout/stamp.h) of files that were just read, or just made, and found
// good. All are best effort: without a stamp the next run reads the files again.
#pragma once

#include <string_view>

#include "cas/layout.h"
#include "cas/layout/stamp.h"
#include "core/schema/image_id.h"

namespace actool::cas {

// Of an image's tar that looks like `look`.
void stampTar(const StoreLayout& layout, const schema::ImageId& id, const FileLook& look) noexcept;
// The one that another namespace has of the same tar.
void copyTarStamp(const StoreLayout& from, const StoreLayout& to,
                  const schema::ImageId& id) noexcept;
// Of a tree's metadata as it lies there now.
void stampMetadata(const StoreLayout& layout, std::string_view key) noexcept;
// Of a rendered tree that looks like `look` (lookOfTree()).
void stampRendered(const StoreLayout& layout, std::string_view key, const FileLook& look) noexcept;

// Whether the tar has been read in full, at any time, and looks as it did then. False on any error.
bool isTarStamped(const StoreLayout& layout, const schema::ImageId& id) noexcept;

}  // namespace actool::cas
