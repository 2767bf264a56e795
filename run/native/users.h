// Who an app runs as (spec/aci.md, "user, group").
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>

namespace actool::run::native {

struct Identity {
  uid_t uid = 0;
  gid_t gid = 0;
  // Of the image's own /etc/passwd, when that has the user.
  std::string name;
  std::string home;
};

struct PasswdEntry {
  std::string name;
  uid_t uid = 0;
  gid_t gid = 0;
  std::string home;
};

// The first entry of passwd(5) text with that name; malformed lines are passed over, as libc does.
std::optional<PasswdEntry> findUser(std::string_view passwd, std::string_view name);
std::optional<PasswdEntry> findUser(std::string_view passwd, uid_t uid);
// The ID of the first entry of group(5) text with that name.
std::optional<gid_t> findGroup(std::string_view group, std::string_view name);

// `user` and `group` are names in the image's /etc/passwd and /etc/group, numbers, or absolute
// paths in the image whose owner and group are meant. `root` is the image's root directory: nothing
// outside of it is read, whatever symbolic links it has. Throws Error naming what is unknown.
Identity resolveIdentity(int root, std::string_view user, std::string_view group);

}  // namespace actool::run::native
