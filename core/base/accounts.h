// passwd(5) and group(5) texts: an image's, or the host's where no C library's lookup is linked.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>

namespace actool {

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

// A user's or group's number; nothing for what is none, or the kernel's "no such ID".
std::optional<std::uint32_t> parseAccountId(std::string_view text);

}  // namespace actool
