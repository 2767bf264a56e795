// Torrents: any bytes are taken or refused, and what is taken keeps to the limits.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include <libtorrent/file_storage.hpp>
#include <libtorrent/torrent_info.hpp>

#include "core/base/error.h"
#include "p2p/torrent_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace actool::p2p;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const TorrentLimits limits;
  try {
    const ImageTorrent torrent = parseTorrent(bytes, limits);
    if (torrent.imageSize == 0 || torrent.imageSize > limits.fileBytes) std::abort();
    if (torrent.signature && torrent.signature->size() > limits.signatureBytes) std::abort();
    if (static_cast<std::size_t>(torrent.info->num_pieces()) > limits.pieces) std::abort();
    const std::string name =
        "/" + torrent.info->files().file_path(lt::file_index_t{torrent.imageFile}) + "/";
    if (name.find("/../") != std::string::npos || name.starts_with("//")) std::abort();
  } catch (const actool::Error&) {
  }
  return 0;
}
