#include "run/native/users.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/base/strings.h"
#include "run/native/mounts.h"

namespace actool::run::native {
namespace {

// Large sites have some thousand users of 60 bytes.
constexpr std::size_t kMaxDatabase = 16 << 20;

std::string readDatabase(int root, const char* path) {
  // A FIFO must not stop us and a device must not be touched: the root is mounted nodev, and
  // O_NONBLOCK makes opening a FIFO harmless.
  const UniqueFd file = tryOpenInRoot(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (!file) return {};
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) throwErrno(std::string("looking at the image's ") + path);
  if (!S_ISREG(info.st_mode)) return {};
  return readAll(file.get(), kMaxDatabase, std::string("the image's ") + path);
}

struct stat ownerOf(int root, std::string_view path, std::string_view what) {
  const UniqueFd file = tryOpenInRoot(root, std::string(path), O_PATH);
  if (!file) {
    throw Error(std::string(what) + " \"" + printable(path) +
                "\" is no file of the image whose owner could be taken");
  }
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) throwErrno("looking at " + printable(path));
  return info;
}

}  // namespace

Identity resolveIdentity(int root, std::string_view user, std::string_view group,
                         std::uint32_t shift) {
  Identity identity;
  identity.shift = shift;
  const std::string passwd = readDatabase(root, "/etc/passwd");
  if (user.starts_with("/")) {
    identity.uid = ownerOf(root, user, "user").st_uid - shift;
  } else if (const auto entry = findUser(passwd, user)) {
    identity.uid = entry->uid;
  } else if (const auto uid = parseAccountId(user)) {
    identity.uid = *uid;
  } else {
    throw Error("user \"" + printable(user) + "\" is not in the image's /etc/passwd",
                "give a number or another user with --user");
  }
  if (const auto entry = findUser(passwd, identity.uid)) {
    identity.name = entry->name;
    identity.home = entry->home;
  }

  if (group.starts_with("/")) {
    identity.gid = ownerOf(root, group, "group").st_gid - shift;
  } else if (const auto named = findGroup(readDatabase(root, "/etc/group"), group)) {
    identity.gid = *named;
  } else if (const auto gid = parseAccountId(group)) {
    identity.gid = *gid;
  } else {
    throw Error("group \"" + printable(group) + "\" is not in the image's /etc/group",
                "give a number or another group with --group");
  }
  return identity;
}

}  // namespace actool::run::native
