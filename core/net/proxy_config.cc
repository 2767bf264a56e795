#include "core/net/proxy_config.h"

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/json.h"
#include "core/base/prefix_config.h"
#include "core/base/strings.h"

namespace actool::net {
namespace {

std::string proxyOf(const Json& content) {
  const std::string text = stringMember(content, "proxy");
  if (text == "direct") return {};
  const auto wrong = [&](std::string_view why) {
    return UsageError(fmt::format("\"proxy\": \"{}\" {}", printable(text), why),
                      "write it as http://proxy.example.com:3128, or \"direct\" for none");
  };
  std::optional<Url> url;
  try {
    url = Url::parse(text);
  } catch (const UsageError&) {
    throw wrong("is no URL");
  }
  if (url->scheme != "http") throw wrong("is no http proxy");
  if ((url->path != "/" && !url->path.empty()) || !url->query.empty()) throw wrong("has a path");
  return url->str;
}

}  // namespace

ProxyConfig ProxyConfig::load(const ConfigDirs& dirs) {
  ProxyConfig config;
  forEachPrefixConfig(dirs, "proxies.d", "proxies",
                      [&](const std::vector<std::string>& prefixes, const Json& content) {
                        const std::string proxy = proxyOf(content);
                        for (const std::string& prefix : prefixes)
                          config.set(prefix, proxy);
                      });
  return config;
}

void ProxyConfig::set(std::string_view prefix, std::string proxy) {
  proxies_.insert_or_assign(std::string(prefix), std::move(proxy));
}

const std::string* ProxyConfig::find(const Url& url) const {
  return findByPrefix(proxies_, url.host + url.path);
}

}  // namespace actool::net
