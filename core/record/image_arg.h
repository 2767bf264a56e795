// What an operator may name an image by, told apart by form alone (nothing is opened).
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "core/base/fs.h"
#include "core/schema/app_ref.h"
#include "core/schema/image_id.h"

namespace actool::record {

struct FileArg {
  Path path;  // absolute
};
struct UrlArg {
  std::string url;  // http:// or https://
};
struct TorrentArg {
  std::string uri;  // magnet:?... ; a .torrent is a FileArg or UrlArg by its suffix
};
struct RegistryArg {
  std::string reference;  // docker://... or oci:...
};

using ImageArg =
    std::variant<schema::AppRef, schema::ImageIdPrefix, FileArg, UrlArg, TorrentArg, RegistryArg>;

// Order of the rules: "sha512-..." is an image ID; "scheme://" and "magnet:", "oci:" by
// scheme; what begins with '/', "./" or "../", is "." or ends in ".aci", ".oci", ".torrent"
// is a path; everything else must be an AppRef. Throws UsageError saying which forms exist.
ImageArg parseImageArg(std::string_view text);

}  // namespace actool::record
