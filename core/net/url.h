// URLs, taken apart by libcurl's parser.
#pragma once

#include <string>
#include <string_view>

namespace actool::net {

struct Url {
  std::string scheme, host, port, path, query;  // port empty when it is not given
  std::string str;                              // normalised

  static Url parse(std::string_view text);  // throws UsageError; no credentials in it allowed
  std::string hostPort() const;             // "example.com", "example.com:8443"
};

// RFC 3986 percent-encoding of everything but unreserved characters; '/' kept when asked.
std::string percentEncode(std::string_view text, bool keepSlash);

}  // namespace actool::net
