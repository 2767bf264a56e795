// Which extended attributes an image carries.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace actool::cas {

// True for attributes that say something about the machine or the mount they are on, not about
// the file: SELinux and Smack labels, IMA and EVM hashes. Not put into images.
bool isMachineXattr(std::string_view name);

// True for overlayfs's own attributes ("trusted.overlay.redirect", "user.overlay.opaque"): a tree
// below an overlay that has them leads the kernel elsewhere. Refused in images.
bool isOverlayXattr(std::string_view name);

// Those of the file at `path`, links not followed, but for isMachineXattr(). Empty where the file
// system has none. Throws SystemError.
std::map<std::string, std::string> readXattrs(const std::string& path);

}  // namespace actool::cas
