// Hosts, ports and URLs as they are typed.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace actool::p2p {

// "example.com:6881", "192.0.2.7:6881", "[2001:db8::7]:6881" (the result's host has no brackets).
// Throws UsageError naming `option`.
std::pair<std::string, int> parseHostPort(std::string_view option, std::string_view text);
// And back.
std::string formatHostPort(const std::string& host, int port);

// Throws UsageError when `text` is no URL with one of these schemes and a host.
void checkUrl(std::string_view option, std::string_view text,
              const std::vector<std::string_view>& schemes);

}  // namespace actool::p2p
