#include "fetch/torrent_place.h"

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/strings.h"

namespace actool::fetch {

TorrentFile TorrentFile::at(const std::string& url, const HttpOptions& options,
                            net::HttpClient& http) {
  const auto content = download(http, url, options, kMaxTorrentBytes);
  if (!content) throw NotFoundError(fmt::format("there is no torrent {}", printable(url)));
  auto dir = std::make_unique<TempDir>(tempRoot(), "actool-fetch.");
  Path path = dir->path() / "image.torrent";
  writeFilePlain(path, *content, 0600);
  return {std::move(dir), std::move(path)};
}

}  // namespace actool::fetch
