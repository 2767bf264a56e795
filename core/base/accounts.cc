#include "core/base/accounts.h"

#include <functional>
#include <vector>

#include "core/base/strings.h"

namespace actool {
namespace {

// The kernel's "no such ID".
constexpr std::uint64_t kNobodysId = 0xffffffff;

std::optional<PasswdEntry> findEntry(std::string_view passwd,
                                     const std::function<bool(const PasswdEntry&)>& wanted) {
  for (const std::string_view line : split(passwd, '\n')) {
    const std::vector<std::string_view> fields = split(line, ':');
    if (fields.size() < 7 || fields[0].empty()) continue;
    const auto uid = parseAccountId(fields[2]);
    const auto gid = parseAccountId(fields[3]);
    if (!uid || !gid) continue;
    PasswdEntry entry{std::string(fields[0]), *uid, *gid, std::string(fields[5])};
    if (wanted(entry)) return entry;
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::uint32_t> parseAccountId(std::string_view text) {
  const auto number = parseUint(text);
  if (!number || *number >= kNobodysId) return std::nullopt;
  return static_cast<std::uint32_t>(*number);
}

std::optional<PasswdEntry> findUser(std::string_view passwd, std::string_view name) {
  return findEntry(passwd, [&](const PasswdEntry& entry) { return entry.name == name; });
}

std::optional<PasswdEntry> findUser(std::string_view passwd, uid_t uid) {
  return findEntry(passwd, [&](const PasswdEntry& entry) { return entry.uid == uid; });
}

std::optional<gid_t> findGroup(std::string_view group, std::string_view name) {
  for (const std::string_view line : split(group, '\n')) {
    const std::vector<std::string_view> fields = split(line, ':');
    if (fields.size() < 3 || fields[0] != name || name.empty()) continue;
    if (const auto gid = parseAccountId(fields[2])) return *gid;
  }
  return std::nullopt;
}

}  // namespace actool
