#include "discovery/url_template.h"

#include <fmt/format.h>

#include <optional>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "core/net/url.h"

namespace actool::discovery {
namespace {

constexpr std::string_view kSchemeEnd = "://";

bool isAlpha(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// RFC 3986, 3.1.
bool isScheme(std::string_view text) {
  if (text.empty() || !isAlpha(text.front())) return false;
  for (const char c : text) {
    if (!isAlpha(c) && !(c >= '0' && c <= '9') && c != '+' && c != '-' && c != '.') return false;
  }
  return true;
}

std::string lowerCase(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

// RFC 6570, 3.1: characters of a literal that no URL may hold are percent-encoded.
void appendLiteral(std::string& url, std::string_view literal) {
  for (const char c : literal) {
    if (static_cast<unsigned char>(c) >= 0x80) {
      url += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    } else {
      url.push_back(c);
    }
  }
}

std::string variableValue(std::string_view variable, const schema::AppRef& ref,
                          std::string_view ext) {
  // These two come first: a label cannot redefine them.
  if (variable == "name") return net::percentEncode(ref.name().str(), true);
  if (variable == "ext") return std::string(ext);
  const std::optional<std::string_view> value = ref.labels().get(variable);
  if (!value) throw Error(fmt::format("the template needs {{{}}}", printable(variable)));
  return net::percentEncode(*value, false);
}

std::string expand(std::string_view urlTemplate, const schema::AppRef& ref, std::string_view ext) {
  std::string url;
  bool distinguished = false;
  std::string_view rest = urlTemplate;
  while (true) {
    const std::size_t brace = rest.find_first_of("{}");
    appendLiteral(url, rest.substr(0, brace));
    if (brace == std::string_view::npos) break;
    const std::size_t close = rest.find_first_of("{}", brace + 1);
    if (rest[brace] == '}' || close == std::string_view::npos || rest[close] == '{') {
      throw Error("the template has a brace without its pair");
    }
    const std::string_view variable = rest.substr(brace + 1, close - brace - 1);
    distinguished = distinguished || variable == "ext";
    url += variableValue(variable, ref, ext);
    if (url.size() > kMaxUrlBytes) {
      throw Error(fmt::format("the template becomes longer than {} bytes", kMaxUrlBytes));
    }
    rest.remove_prefix(close + 1);
  }
  if (!distinguished) throw Error("the template has no {ext}");
  return url;
}

// A label's value ".." would make the client ask for another path than the page announced.
void refuseDotSegments(std::string_view url) {
  for (const std::string_view segment : split(url.substr(0, url.find_first_of("?#")), '/')) {
    if (segment == "." || segment == "..") {
      throw Error(fmt::format("\"{}\" has a \"{}\" in its path", printable(url), segment));
    }
  }
}

}  // namespace

record::Endpoint renderTemplate(std::string_view urlTemplate, const schema::AppRef& ref) {
  record::Endpoint endpoint{checkedUrl(expand(urlTemplate, ref, "aci")),
                            checkedUrl(expand(urlTemplate, ref, "aci.asc"))};
  refuseDotSegments(endpoint.aci);
  return endpoint;
}

std::string checkedUrl(std::string_view text) {
  if (text.size() > kMaxUrlBytes) {
    throw Error(fmt::format("the URL is longer than {} bytes", kMaxUrlBytes));
  }
  const auto refuse = [&](std::string_view why) {
    throw Error(fmt::format("\"{}\" is not a URL that can be used: {}", printable(text), why));
  };
  for (const char c : text) {
    if (c <= 0x20 || c >= 0x7f || std::string_view("\"<>\\^`{|}").find(c) != std::string::npos) {
      refuse("it has a character that URLs do not have");
    }
  }
  const std::size_t end = text.find(kSchemeEnd);
  if (end == std::string_view::npos || !isScheme(text.substr(0, end))) refuse("it has no scheme");
  // A page must not be able to point at files of the machine that reads it.
  if (lowerCase(text.substr(0, end)) == "file") refuse("it names a local file");
  const std::string_view rest = text.substr(end + kSchemeEnd.size());
  if (rest.empty() || rest.front() == '/') refuse("it has no host");
  // The parser knows a fixed set of schemes; what follows has the same form in all of them.
  try {
    net::Url::parse(fmt::format("https{}{}", kSchemeEnd, rest));
  } catch (const Error& error) {
    refuse(error.what());
  }
  return std::string(text);
}

}  // namespace actool::discovery
