#include "core/net/http.h"

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/strings.h"

namespace actool::net {
namespace {

std::string_view reason(int status) {
  switch (status) {
    case 400:
      return " Bad Request";
    case 401:
      return " Unauthorized";
    case 403:
      return " Forbidden";
    case 404:
      return " Not Found";
    case 410:
      return " Gone";
    case 416:
      return " Range Not Satisfiable";
    case 429:
      return " Too Many Requests";
    case 500:
      return " Internal Server Error";
    case 502:
      return " Bad Gateway";
    case 503:
      return " Service Unavailable";
    case 504:
      return " Gateway Timeout";
    default:
      return "";
  }
}

}  // namespace

std::string HttpResponse::header(std::string_view name) const {
  const auto found = headers.find(std::string(name));
  return found == headers.end() ? std::string() : found->second;
}

std::chrono::seconds HttpResponse::maxAge() const {
  // Ten years: beyond it a larger number says no more, and sums with the time cannot overflow.
  constexpr std::uint64_t kLongest = 10ULL * 365 * 24 * 3600;
  const std::string control = lowered(header("cache-control"));
  std::chrono::seconds age{0};
  for (const std::string_view part : split(control, ',')) {
    const std::string_view directive = trim(part);
    if (directive == "no-cache" || directive == "no-store") return std::chrono::seconds(0);
    if (!directive.starts_with("max-age=")) continue;
    const std::uint64_t seconds = parseUint(directive.substr(8)).value_or(0);
    age = std::chrono::seconds(std::min(seconds, kLongest));
  }
  return age;
}

std::pair<HttpResponse, std::string> HttpClient::getText(const HttpRequest& request) {
  std::string body;
  HttpResponse response = get(request, [&](const HttpResponse&, std::span<const std::byte> bytes) {
    body.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  });
  return {std::move(response), std::move(body)};
}

void throwStatus(const HttpResponse& response, std::string_view url) {
  const int status = response.status;
  const std::string why =
      fmt::format("{}: the server answers HTTP {}{}", printable(url, 2000), status, reason(status));
  if (status == 404 || status == 410) throw NotFoundError(why);
  if (status == 401 || status == 403) {
    throw NetworkError(why, "give credentials for this host in auth.d, or check those there are");
  }
  if (status == 429 || status >= 500) throw NetworkError(why, "try again later");
  throw NetworkError(why);
}

}  // namespace actool::net
