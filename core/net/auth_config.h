// Credentials by host: rkt's auth.d (Documentation/configuration.md, rktKind "auth").
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <variant>

#include "core/base/config_file.h"

namespace actool::net {

struct BasicAuth {
  std::string user;
  std::string password;
};
struct BearerAuth {
  std::string token;
};
using Credential = std::variant<BasicAuth, BearerAuth>;

class AuthConfig {
 public:
  AuthConfig() = default;
  // {"rktKind":"auth","rktVersion":"v1","domains":["example.com"],"type":"basic",
  //  "credentials":{"user":"u","password":"p"}} or "type":"oauth" with {"token":"t"}, from
  // auth.d of every directory. The same domain twice in one directory is an error, in a
  // directory of higher precedence it overrides. Throws UsageError naming the file.
  static AuthConfig load(const ConfigDirs& dirs);

  void set(std::string_view host, Credential credential);
  // By the host of a URL, port included when it is not the scheme's own ("example.com:8443"),
  // then by the host alone. Null when there is none.
  const Credential* find(std::string_view hostPort) const;

 private:
  std::map<std::string, Credential, std::less<>> credentials_;
};

}  // namespace actool::net
