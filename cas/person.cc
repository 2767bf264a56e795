#include "cas/person.h"

#include <pwd.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <limits>

#include "core/base/own_root.h"
#include "core/base/strings.h"

namespace actool::cas {

namespace {

std::string accountOf(uid_t uid) {
  std::array<char, 16 << 10> buffer{};
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) {
    return {};
  }
  return found->pw_name;
}

}  // namespace

Person thisPerson() {
  const uid_t user = outsideUser(::getuid());
  Person person{.uid = user, .name = accountOf(user), .sudoUid = {}, .sudoName = {}};
  // Only the number is taken from the environment: a name there could be anything.
  const char* text = std::getenv("SUDO_UID");
  const auto sudo = text == nullptr ? std::nullopt : parseUint(text);
  if (sudo && *sudo < std::numeric_limits<uid_t>::max()) {
    person.sudoUid = sudo;
    person.sudoName = accountOf(static_cast<uid_t>(*sudo));
  }
  return person;
}

}  // namespace actool::cas
