// Names of entries in an image, brought to one form.
#pragma once

#include <string>
#include <string_view>

namespace actool::cas {

inline constexpr std::string_view kRootfs = "rootfs";  // the one directory of an image

struct PathLimits {
  std::size_t depth = 256;
  std::size_t component = 255;
};

// "./rootfs/usr/" becomes "rootfs/usr", "./" becomes "". One "./" in front and one '/' at the
// end go (tar(1) writes them); anything else that is not a plain relative path is refused:
// absolute, empty, "." or ".." components, NULs, and what is over the limits. Throws
// Error saying what is wrong, without the path.
std::string normalPath(std::string_view path, const PathLimits& limits = {});

// A name from an archive, for messages: "\"usr/bin\"", with what could harm a terminal escaped.
std::string inQuotes(std::string_view path);

// "a/b" of "a/b/c", "" of "a".
std::string_view parentOf(std::string_view path);
std::string_view baseOf(std::string_view path);  // "c"

}  // namespace actool::cas
