// Who an app runs as (spec/aci.md, "user, group").
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>

#include "core/base/accounts.h"

namespace actool::run::native {

struct Identity {
  uid_t uid = 0;
  gid_t gid = 0;
  // In a pod with IDs of its own: its namespace (not owned, it may be a process's descriptor), and
  // what has to be added to an ID for the host.
  int userNamespace = -1;
  std::uint32_t shift = 0;
  // Of the image's own /etc/passwd, when that has the user.
  std::string name;
  std::string home;
};

// `user` and `group` are names in the image's /etc/passwd and /etc/group, numbers, or absolute
// paths in the image whose owner and group are meant. `root` is the image's root directory: nothing
// outside of it is read, whatever symbolic links it has. `shift` is
// taken off the owners of files. Throws Error naming what is unknown.
Identity resolveIdentity(int root, std::string_view user, std::string_view group,
                         std::uint32_t shift = 0);

}  // namespace actool::run::native
