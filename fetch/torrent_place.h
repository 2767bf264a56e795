// A torrent from the web as a local file, for the program that reads it. Nothing looks into it
// here.
#pragma once

#include <memory>
#include <string>

#include "core/base/fs.h"
#include "core/net/http.h"
#include "fetch/transfer.h"

namespace actool::fetch {

// What actool-p2p takes at most.
inline constexpr std::uint64_t kMaxTorrentBytes = 4 << 20;

class TorrentFile {
 public:
  // NotFoundError when there is none at `url`; NetworkError.
  static TorrentFile at(const std::string& url, const HttpOptions& options, net::HttpClient& http);
  const Path& path() const { return path_; }

 private:
  TorrentFile(std::unique_ptr<TempDir> dir, Path path)
      : dir_(std::move(dir)), path_(std::move(path)) {}

  std::unique_ptr<TempDir> dir_;
  Path path_;
};

}  // namespace actool::fetch
