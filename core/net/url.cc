#include "core/net/url.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "core/base/error.h"
#include "core/base/strings.h"

namespace actool::net {
namespace {

struct CurluFree {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
using CurluPtr = std::unique_ptr<CURLU, CurluFree>;

struct CurlFree {
  void operator()(char* text) const { curl_free(text); }
};

// A part of the URL, empty when it has none.
std::string part(CURLU* url, CURLUPart what) {
  char* raw = nullptr;
  const CURLUcode code = curl_url_get(url, what, &raw, CURLU_NO_DEFAULT_PORT);
  const std::unique_ptr<char, CurlFree> text(raw);
  if (code == CURLUE_OUT_OF_MEMORY) throw Error("out of memory");
  return code == CURLUE_OK ? std::string(text.get()) : std::string();
}

[[noreturn]] void refuse(std::string_view text, std::string_view why) {
  throw UsageError(fmt::format("\"{}\" is no URL that can be used: {}", printable(text), why));
}

bool isUnreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

}  // namespace

Url Url::parse(std::string_view text) {
  if (text.find('\0') != std::string_view::npos) refuse(text, "it has a NUL byte");
  const CurluPtr handle(curl_url());
  if (!handle) throw Error("out of memory");
  const CURLUcode code =
      curl_url_set(handle.get(), CURLUPART_URL, std::string(text).c_str(), CURLU_DISALLOW_USER);
  if (code == CURLUE_USER_NOT_ALLOWED) {
    throw UsageError("a URL with a user name or password in it is not accepted",
                     "put the credentials into auth.d");
  }
  if (code != CURLUE_OK) refuse(text, curl_url_strerror(code));

  Url url;
  url.scheme = part(handle.get(), CURLUPART_SCHEME);
  if (url.scheme != "http" && url.scheme != "https") {
    refuse(text, "its scheme is neither http nor https");
  }
  // libcurl takes the first word of "https:///x" or "https:/x" for the host.
  const std::string_view rest = text.substr(text.find(':'));
  if (!rest.starts_with("://") || rest.starts_with(":///")) {
    refuse(text, "its scheme is not followed by \"//\" and a host");
  }
  url.host = part(handle.get(), CURLUPART_HOST);
  std::transform(url.host.begin(), url.host.end(), url.host.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  if (url.host.empty()) refuse(text, "it has no host");
  // Host names compare without case; what is looked up and shown is one spelling. The
  // fragment never leaves a client.
  if (curl_url_set(handle.get(), CURLUPART_HOST, url.host.c_str(), 0) != CURLUE_OK ||
      curl_url_set(handle.get(), CURLUPART_FRAGMENT, nullptr, 0) != CURLUE_OK) {
    refuse(text, "its host is malformed");
  }
  url.port = part(handle.get(), CURLUPART_PORT);
  url.path = part(handle.get(), CURLUPART_PATH);
  url.query = part(handle.get(), CURLUPART_QUERY);
  url.str = part(handle.get(), CURLUPART_URL);
  return url;
}

std::string Url::hostPort() const {
  return port.empty() ? host : host + ":" + port;
}

std::string percentEncode(std::string_view text, bool keepSlash) {
  std::string result;
  for (const char c : text) {
    if (isUnreserved(c) || (keepSlash && c == '/')) {
      result.push_back(c);
    } else {
      result += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return result;
}

}  // namespace actool::net
