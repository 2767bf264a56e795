#include "p2p/mirror/site_layout.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "p2p/mirror/site_config.h"

namespace actool::mirror {
namespace {

constexpr std::string_view kTargetBegin = "_r/";
constexpr std::string_view kTargetEnd = "/index.html";
constexpr std::size_t kRevisionDigits = 32;
constexpr std::size_t kMaxValueBytes = 200;  // a file's name has 255, suffixes included

// Values become components of paths and of URLs: what web servers might take for something else,
// hidden files and our own folders are not among them.
std::string component(std::string_view label, std::string_view value) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '+' || c == '~' || c == '-';
  };
  const bool good = !value.empty() && value.size() <= kMaxValueBytes && value.front() != '.' &&
                    value.front() != '_' && std::all_of(value.begin(), value.end(), plain);
  if (!good) {
    throw Error(fmt::format("the {} \"{}\" cannot be a part of a URL", label, printable(value)));
  }
  return std::string(value);
}

}  // namespace

Path SiteLayout::byDigest(const Digest& digest, std::string_view suffix) const {
  return imagesDir() / digest.hex().substr(0, 2) / fmt::format("{}.{}", digest.hex(), suffix);
}

std::string webPath(const SiteLayout& layout, const Path& path) {
  return "/" + path.lexically_relative(layout.webRoot()).string();
}

std::string imagePath(const schema::AcIdentifier& name, const schema::Labels& labels) {
  const std::string version = component("version", labels.get("version").value_or(kLatest));
  const auto os = labels.get("os");
  const auto arch = labels.get("arch");
  if (!os) return fmt::format("any/{}/{}", name.str(), version);
  if (!arch) return fmt::format("os/{}/{}/{}", name.str(), version, component("os", *os));
  return fmt::format("os-arch/{}/{}/{}/{}", name.str(), version, component("os", *os),
                     component("arch", *arch));
}

std::string imageTemplate(const schema::Labels& labels) {
  if (!labels.get("os")) return "any/{name}/{version}";
  if (!labels.get("arch")) return "os/{name}/{version}/{os}";
  return "os-arch/{name}/{version}/{os}/{arch}";
}

bool isRevision(std::string_view text) {
  return text.size() == kRevisionDigits && isLowerHex(text);
}

std::string pageTarget(std::string_view revision) {
  return fmt::format("{}{}{}", kTargetBegin, revision, kTargetEnd);
}

std::optional<std::string> revisionOfTarget(std::string_view target) {
  if (!target.starts_with(kTargetBegin) || !target.ends_with(kTargetEnd)) return std::nullopt;
  target.remove_prefix(kTargetBegin.size());
  if (target.size() < kTargetEnd.size()) return std::nullopt;
  target.remove_suffix(kTargetEnd.size());
  if (!isRevision(target)) return std::nullopt;
  return std::string(target);
}

}  // namespace actool::mirror
