#include "p2p/torrent_cache.h"

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "p2p/torrent_file.h"

namespace actool::p2p {

namespace {

constexpr std::string_view kCacheKind = "actool-torrent";
constexpr int kCacheVersion = 1;
constexpr std::size_t kMostHeaderBytes = 4096;

// One line of JSON, then the torrent.
std::string headerOf(const cas::FileLook& look, std::string_view torrent) {
  return dumpLine({{"kind", kCacheKind},
                   {"version", kCacheVersion},
                   {"device", look.device},
                   {"inode", look.inode},
                   {"size", look.size},
                   {"modified", look.modified},
                   {"changed", look.changed},
                   {"digest", digestOf(DigestAlgorithm::sha256, torrent).str()}});
}

}  // namespace

std::string TorrentCache::fileNameOf(const cas::DistributedImage& image,
                                     const std::optional<SwarmCa>& ca) {
  const auto shortened = [](const std::string& text) {
    return digestOf(DigestAlgorithm::sha256, text).hex().substr(0, 16);
  };
  return fmt::format("{}-{}{}.torrent", image.digest.hex(), shortened(image.signature.value_or("")),
                     ca ? "-" + shortened(ca->pem()) : std::string());
}

std::optional<std::string> TorrentCache::get(const cas::DistributedImage& image,
                                             const cas::FileLook& look,
                                             const std::optional<SwarmCa>& ca) const {
  if (dir_.empty()) return std::nullopt;
  const Path file = dir_ / fileNameOf(image, ca);
  try {
    const auto content = tryReadFile(file, TorrentLimits().bytes + kMostHeaderBytes);
    if (!content) return std::nullopt;
    const std::size_t end = content->find('\n');
    if (end == std::string::npos) return std::nullopt;
    std::string torrent = content->substr(end + 1);
    if (content->substr(0, end) != headerOf(look, torrent)) return std::nullopt;
    const ImageTorrent parsed = parseTorrent(torrent);
    if (parsed.imageSize != image.size || parsed.signature != image.signature || parsed.ca != ca) {
      return std::nullopt;
    }
    return torrent;
  } catch (const Error& error) {
    log::debug("{}: {}", file.string(), error.what());
    return std::nullopt;
  }
}

void TorrentCache::put(const cas::DistributedImage& image, const cas::FileLook& look,
                       const std::optional<SwarmCa>& ca,
                       const std::string& torrent) const noexcept {
  if (dir_.empty()) return;
  try {
    makeDirs(dir_);
    writeFileAtomic(dir_ / fileNameOf(image, ca), headerOf(look, torrent) + "\n" + torrent);
  } catch (const std::exception& error) {
    log::debug("the torrent is not kept: {}", error.what());
  }
}

void TorrentCache::keepOnly(const std::function<bool(const std::string&)>& wanted) const noexcept {
  if (dir_.empty()) return;
  try {
    for (const auto& name : listDir(dir_)) {
      if (!wanted(name)) removeTree(dir_ / name);
    }
  } catch (const std::exception& error) {
    log::debug("{}", error.what());
  }
}

}  // namespace actool::p2p
