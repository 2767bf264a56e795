// POSIX access control lists: from the text in archives to the attribute the kernel takes.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace actool::cas {

inline constexpr std::string_view kAccessAclXattr = "system.posix_acl_access";
inline constexpr std::string_view kDefaultAclXattr = "system.posix_acl_default";

// "user::rwx,user:lp:rw-:7,group::r-x,mask::rwx,other::---", entries apart by ',' or line ends,
// IDs as numbers or behind a name. The value of the kAccessAclXattr attribute. Nothing when
// an entry gives a name without a number: whose it was, only the machine that made the
// archive knows. Throws Error on anything that is no ACL.
std::optional<std::string> aclAttribute(std::string_view text);

// The other way round, IDs as numbers: what archives have it as, entries apart by ','. Throws
// Error on what is no such attribute.
std::string aclText(std::string_view attribute);

}  // namespace actool::cas
