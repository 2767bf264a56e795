// Files and torrents made on the spot.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>

#include <string>

#include "core/base/fs.h"
#include "p2p/torrent_file.h"

namespace actool::p2p {

// Bytes that repeat at no piece's border.
inline std::string noise(std::size_t size) {
  std::string bytes(size, '\0');
  std::uint32_t state = 1;
  for (char& byte : bytes) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<char>(state >> 24);
  }
  return bytes;
}

inline TorrentContent contentOf(const std::string& bytes, std::string signature = "the signature") {
  return {.size = bytes.size(),
          .sha256 = digestOf(DigestAlgorithm::sha256, bytes),
          .signature = std::move(signature),
          .isPrivate = false,
          .ca = std::nullopt};
}

inline std::string torrentOf(const std::string& bytes, const TorrentContent& content) {
  const TempDir dir(tempRoot());
  writeFilePlain(dir.path() / "image", bytes);
  const UniqueFd fd = openFile((dir.path() / "image").string(), O_RDONLY);
  return makeTorrent(fd.get(), "the image", content, {});
}

}  // namespace actool::p2p
