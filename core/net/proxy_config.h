// Proxies by place: proxies.d (docs/fetch.md, rktKind "proxies"), before those of the environment.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/config_file.h"
#include "core/net/url.h"

namespace actool::net {

class ProxyConfig {
 public:
  ProxyConfig() = default;
  // {"rktKind":"proxies","rktVersion":"v1","prefixes":["quay.io","example.com/team"],
  //  "proxy":"http://proxy.example:3128"} from proxies.d of every directory. "direct" instead of a
  // URL goes without any. A prefix is a host, with the beginning of a path by whole components;
  // "*" is every place. The same prefix twice in one directory is an error, in a directory of
  // higher precedence it overrides. Throws UsageError naming the file.
  static ProxyConfig load(const ConfigDirs& dirs);

  // An empty proxy goes without any.
  void set(std::string_view prefix, std::string proxy);
  // By the longest prefix: the proxy's URL, an empty one to go direct. Null: the environment says.
  const std::string* find(const Url& url) const;

 private:
  std::map<std::string, std::string, std::less<>> proxies_;
};

}  // namespace actool::net
