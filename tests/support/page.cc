#include "tests/support/page.h"

#include <fmt/format.h>

#include "core/base/strings.h"

namespace actool::test {
namespace {

std::string get(const Headers& headers, const std::string& name) {
  const auto found = headers.find(name);
  return found == headers.end() ? std::string() : found->second;
}

// N of "bytes=N-".
std::optional<std::size_t> rangeStart(std::string_view range) {
  if (!range.starts_with("bytes=") || !range.ends_with('-')) return std::nullopt;
  const auto number = parseUint(range.substr(6, range.size() - 7));
  return number ? std::optional<std::size_t>(*number) : std::nullopt;
}

std::string base64(std::string_view bytes) {
  static constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::string_view group = bytes.substr(i, 3);
    unsigned bits = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      bits = bits << 8 | (k < group.size() ? static_cast<unsigned char>(group[k]) : 0u);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      text.push_back(k <= group.size() ? kDigits[bits >> (18 - 6 * k) & 63] : '=');
    }
  }
  return text;
}

}  // namespace

Page textPage(std::string body) {
  return {.body = std::move(body)};
}

Page redirectPage(std::string location, int status) {
  return {.status = status, .headers = {{"location", std::move(location)}}};
}

Answer answer(const Page& page, const Headers& request) {
  Answer result{page.status, page.headers, page.body, page.breakAfter};
  const std::string etag = get(page.headers, "etag");
  if (!page.authorization.empty() && get(request, "authorization") != page.authorization) {
    result = {401, {{"www-authenticate", "Basic realm=\"test\""}}, "who are you?", {}};
  } else if (!etag.empty() && get(request, "if-none-match") == etag) {
    result = {304, page.headers, "", {}};
  } else if (const auto start = rangeStart(get(request, "range"));
             start && page.ranges && page.status == 200) {
    const std::string condition = get(request, "if-range");
    const bool applies = condition.empty() || condition == etag;
    const std::size_t size = page.body.size();
    if (applies && *start >= size) {
      result = {416, {{"content-range", fmt::format("bytes */{}", size)}}, "", {}};
    } else if (applies) {
      result.status = 206;
      result.headers["content-range"] = fmt::format("bytes {}-{}/{}", *start, size - 1, size);
      result.body = page.body.substr(*start);
    }
  }
  if (page.announceLength && result.status != 304) {
    result.headers["content-length"] = std::to_string(result.body.size());
  }
  return result;
}

std::string basicAuthorization(std::string_view user, std::string_view password) {
  return "Basic " + base64(fmt::format("{}:{}", user, password));
}

}  // namespace actool::test
