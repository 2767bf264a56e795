#include "p2p/endpoint.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/base/strings.h"

namespace actool::p2p {

namespace {

constexpr std::uint64_t kMostPort = 65535;

bool isPlain(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

}  // namespace

std::pair<std::string, int> parseHostPort(std::string_view option, std::string_view text) {
  const std::size_t colon = text.rfind(':');
  const auto port =
      colon == std::string_view::npos ? std::nullopt : parseUint(text.substr(colon + 1));
  std::string_view host = text.substr(0, std::min(colon, text.size()));
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  if (bracketed) host = host.substr(1, host.size() - 2);
  const bool ambiguous = !bracketed && host.find(':') != std::string_view::npos;
  if (!port || *port == 0 || *port > kMostPort || host.empty() || ambiguous || !isPlain(host)) {
    throw UsageError(fmt::format("{}: \"{}\" is not HOST:PORT", option, printable(text)),
                     "write 192.0.2.7:6881 or [2001:db8::7]:6881");
  }
  return {std::string(host), static_cast<int>(*port)};
}

std::string formatHostPort(const std::string& host, int port) {
  return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port)
                                             : fmt::format("[{}]:{}", host, port);
}

void checkUrl(std::string_view option, std::string_view text,
              const std::vector<std::string_view>& schemes) {
  const std::size_t end = std::min(text.find("://"), text.size());
  const bool known =
      std::find(schemes.begin(), schemes.end(), text.substr(0, end)) != schemes.end();
  if (known && text.size() > end + 3 && text[end + 3] != '/' && isPlain(text)) return;
  throw UsageError(
      fmt::format("{}: \"{}\" is no URL that can be used", option, printable(text)),
      fmt::format("it begins with {}://", join({schemes.begin(), schemes.end()}, ":// or ")));
}

}  // namespace actool::p2p
