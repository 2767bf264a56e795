#include "cas/aci_xattr.h"

#include <sys/xattr.h>

#include <cerrno>

#include "cas/aci_path.h"
#include "core/base/error.h"

namespace actool::cas {

bool isMachineXattr(std::string_view name) {
  return name == "security.selinux" || name == "security.ima" || name == "security.evm" ||
         name.starts_with("security.SMACK64") || name == "system.nfs4_acl";
}

bool isOverlayXattr(std::string_view name) {
  return name.starts_with("trusted.overlay.") || name.starts_with("user.overlay.");
}

std::map<std::string, std::string> readXattrs(const std::string& path) {
  std::map<std::string, std::string> attributes;
  std::string names(64 << 10, '\0');  // XATTR_LIST_MAX, XATTR_SIZE_MAX
  const ssize_t length = llistxattr(path.c_str(), names.data(), names.size());
  if (length < 0 && errno == ENOTSUP) return attributes;
  if (length < 0) throwErrno("listing the extended attributes");
  if (length == 0) return attributes;
  names.resize(static_cast<std::size_t>(length));
  std::string value(64 << 10, '\0');
  for (std::size_t at = 0; at < names.size();) {
    const std::string name = names.c_str() + at;
    at += name.size() + 1;
    if (isMachineXattr(name)) continue;
    const ssize_t size = lgetxattr(path.c_str(), name.c_str(), value.data(), value.size());
    if (size < 0 && errno == ENODATA) continue;
    if (size < 0) throwErrno("reading the extended attribute " + inQuotes(name));
    attributes.emplace(name, value.substr(0, static_cast<std::size_t>(size)));
  }
  return attributes;
}

}  // namespace actool::cas
