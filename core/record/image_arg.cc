#include "core/record/image_arg.h"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>

#include "core/base/error.h"
#include "core/base/strings.h"

namespace actool::record {
namespace {

constexpr const char* kForms =
    "an image is given as NAME[:VERSION][,LABEL=VALUE...], sha512-..., a path, a file://, "
    "http:// or https:// URL, magnet:..., docker://... or oci:...";

FileArg fileArg(std::string_view text) {
  std::error_code error;
  const Path path = std::filesystem::absolute(Path(text), error);
  if (error) throw SystemError(error.value(), "finding the current directory");
  return {path.lexically_normal()};
}

int hexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// RFC 8089: file:///PATH or file://localhost/PATH, percent-encoded.
FileArg fileUrl(std::string_view url) {
  std::string_view rest = url.substr(std::string_view("file://").size());
  if (rest.starts_with("localhost/")) rest.remove_prefix(std::string_view("localhost").size());
  if (!rest.starts_with('/')) {
    throw UsageError(fmt::format("\"{}\" names a file of another host", printable(url)),
                     "write file:///PATH");
  }
  std::string path;
  for (std::size_t i = 0; i < rest.size(); ++i) {
    if (rest[i] != '%') {
      path.push_back(rest[i]);
      continue;
    }
    const int high = i + 1 < rest.size() ? hexValue(rest[i + 1]) : -1;
    const int low = i + 2 < rest.size() ? hexValue(rest[i + 2]) : -1;
    if (high < 0 || low < 0 || (high == 0 && low == 0)) {
      throw UsageError(fmt::format("\"{}\" is badly percent-encoded", printable(url)));
    }
    path.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return fileArg(path);
}

// "https" of "https://...", lower case; empty when `text` has no "scheme://".
std::string schemeOf(std::string_view text) {
  const auto end = text.find("://");
  if (end == std::string_view::npos || end == 0) return {};
  std::string scheme;
  for (const char c : text.substr(0, end)) {
    const bool upper = c >= 'A' && c <= 'Z';
    const bool allowed = upper || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
                         c == '-' || c == '.';
    if (!allowed) return {};
    scheme.push_back(upper ? static_cast<char>(c - 'A' + 'a') : c);
  }
  return scheme;
}

void checkUri(std::string_view uri) {
  const auto plain = [](unsigned char c) { return c > 0x20 && c != 0x7f; };
  if (!std::all_of(uri.begin(), uri.end(), plain)) {
    throw UsageError(fmt::format("\"{}\" has a space or control character", printable(uri)),
                     "percent-encode it");
  }
}

bool looksLikePath(std::string_view text) {
  return text.starts_with('/') || text.starts_with("./") || text.starts_with("../") ||
         text == "." || text == ".." || text.ends_with(".aci") || text.ends_with(".oci") ||
         text.ends_with(".torrent");
}

}  // namespace

ImageArg parseImageArg(std::string_view text) {
  if (text.empty()) throw UsageError("the image argument is empty", kForms);
  if (text.find('\0') != std::string_view::npos) {
    throw UsageError(fmt::format("\"{}\" has a NUL byte", printable(text)));
  }
  if (text.starts_with("sha512-")) {
    if (auto id = schema::ImageIdPrefix::tryParse(text)) return *std::move(id);
    throw UsageError(fmt::format("\"{}\" is no image ID", printable(text)),
                     "an image ID is \"sha512-\" and 2 to 128 lower-case hex digits");
  }
  if (const std::string scheme = schemeOf(text); !scheme.empty()) {
    if (scheme == "file") return fileUrl(text);
    checkUri(text);
    if (scheme == "http" || scheme == "https") return UrlArg{std::string(text)};
    if (scheme == "docker") return RegistryArg{std::string(text)};
    throw UsageError(fmt::format("\"{}\": the scheme {} is unknown", printable(text), scheme),
                     kForms);
  }
  if (text.starts_with("magnet:") || text.starts_with("oci:")) {
    checkUri(text);
    if (text.starts_with("magnet:")) return TorrentArg{std::string(text)};
    return RegistryArg{std::string(text)};
  }
  if (looksLikePath(text)) return fileArg(text);
  try {
    return schema::AppRef::parse(text);
  } catch (const Error& error) {
    throw UsageError(error.what(), kForms);
  }
}

}  // namespace actool::record
