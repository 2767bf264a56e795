#include "core/net/auth_config.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/strings.h"

namespace actool::net {
namespace {

// Credentials become header lines: a line break in one would forge further headers.
std::string secret(const Json& credentials, std::string_view key) {
  std::string value = stringMember(credentials, key);
  const bool clean = std::all_of(value.begin(), value.end(),
                                 [](unsigned char c) { return c >= 0x20 && c != 0x7f; });
  if (value.empty()) throw UsageError(fmt::format("credentials: \"{}\" is empty", key));
  if (!clean) throw UsageError(fmt::format("credentials: \"{}\" has control characters", key));
  return value;
}

std::vector<std::string> domainsOf(const Json& content) {
  const Json& list = member(content, "domains");
  std::vector<std::string> domains;
  const auto strings = list.is_array() && std::all_of(list.begin(), list.end(), [](const Json& d) {
                         return d.is_string() && !d.get_ref<const std::string&>().empty();
                       });
  if (!strings || list.empty()) {
    throw UsageError("\"domains\" should be a list of host names",
                     "write them like \"example.com\" or \"example.com:8443\"");
  }
  for (const Json& domain : list) {
    auto host = lowered(domain.get<std::string>());
    if (host.find_first_of("/@ ") != std::string::npos) {
      throw UsageError(fmt::format("the domain \"{}\" is no host name", printable(host)),
                       "write it like \"example.com\" or \"example.com:8443\"");
    }
    domains.push_back(std::move(host));
  }
  return domains;
}

std::optional<Credential> credentialOf(const Json& content, std::string_view type) {
  const Json& credentials = member(content, "credentials");
  if (type == "basic") {
    BasicAuth basic{secret(credentials, "user"), secret(credentials, "password")};
    // RFC 7617: the first ':' ends the user name.
    if (basic.user.find(':') != std::string::npos) {
      throw UsageError("credentials: \"user\" has a ':'");
    }
    return basic;
  }
  if (type == "oauth") return BearerAuth{secret(credentials, "token")};
  return std::nullopt;
}

}  // namespace

AuthConfig AuthConfig::load(const ConfigDirs& dirs) {
  AuthConfig config;
  for (const Path& dir : dirs.dirs) {
    std::map<std::string, Path> seen;
    forEachConfig(ConfigDirs{{dir}}, "auth.d", "auth",
                  [&](const ConfigFile& file, const Json& content) {
                    const std::string type = stringMember(content, "type");
                    const auto domains = domainsOf(content);
                    for (const std::string& domain : domains) {
                      const auto [first, added] = seen.emplace(domain, file.path);
                      if (added) continue;
                      throw UsageError(fmt::format("the domain \"{}\" is in {} too",
                                                   printable(domain), first->second.string()),
                                       "a directory may have one set of credentials for a domain");
                    }
                    const auto credential = credentialOf(content, type);
                    if (!credential && type != "aws") {
                      throw UsageError(fmt::format("the type \"{}\" is unknown", printable(type)),
                                       "known are basic and oauth");
                    }
                    if (!credential) {
                      log::warn("{}: credentials of type \"aws\" are not supported and not used",
                                file.path.string());
                      return;
                    }
                    for (const std::string& domain : domains) {
                      config.set(domain, *credential);
                    }
                  });
  }
  return config;
}

void AuthConfig::set(std::string_view host, Credential credential) {
  credentials_.insert_or_assign(lowered(host), std::move(credential));
}

const Credential* AuthConfig::find(std::string_view hostPort) const {
  std::string host = lowered(hostPort);
  auto found = credentials_.find(host);
  if (found == credentials_.end()) {
    const auto colon = host.rfind(':');
    // The colons of "[::1]" are no port's.
    const bool hasPort = colon != std::string::npos && host.find(']', colon) == std::string::npos;
    if (hasPort) found = credentials_.find(host.substr(0, colon));
  }
  return found == credentials_.end() ? nullptr : &found->second;
}

}  // namespace actool::net
