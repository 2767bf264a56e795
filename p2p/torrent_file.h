// Torrents of images: made, read, announced. docs/p2p.md is the contract of the info dictionary.
//
// A torrent has one file, the image as distributed, under a name that follows from its content, so
// that whoever makes it gets the same info-hash and all of them are one swarm. The detached
// signature is in the info dictionary ("aci signature"): it comes with the metadata, before a byte
// of the image, also by a magnet link. One file alone means that the URL of the image is a web
// seed as it stands (BEP 19).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <libtorrent/fwd.hpp>

#include "core/base/digest.h"
#include "p2p/swarm_ca.h"

namespace actool::p2p {

// The smallest power of two from 64 KiB to 8 MiB that makes no more than 2048 pieces of the file.
// A part of the contract: it is hashed into the info-hash.
std::uint32_t pieceSizeFor(std::uint64_t fileSize);

// What is in the info dictionary.
struct TorrentContent {
  std::uint64_t size = 0;
  Digest sha256;                   // of the file
  std::string signature;           // armoured, as it is; empty: an unsigned image
  bool isPrivate = false;          // BEP 27
  std::optional<SwarmCa> ca = {};  // whose certificates admit peers; nothing: an open swarm
};

// Where the swarm is found. Outside the info dictionary: it changes no info-hash.
struct Announcement {
  std::vector<std::string> webSeeds;
  std::vector<std::string> trackers;               // each a tier of its own, in order
  std::vector<std::pair<std::string, int>> nodes;  // of the DHT: host and port
  std::vector<std::pair<std::string, int>> peers;  // in magnet links only: address and port
};

// The torrent of the file behind `fd`, which is read from front to back; `progress` is given the
// bytes read so far and may be empty. Throws Error when the file does not have the size and digest
// of `content`. The result has info dictionary and piece layers only.
std::string makeTorrent(int fd, std::string_view what, const TorrentContent& content,
                        const std::function<void(std::uint64_t)>& progress);

// The v1 torrent of the same pieces, of another info-hash: for clients that can't read BEP 52's
// file tree (aria2, Transmission before 4).
std::string v1Form(std::string_view torrent);

// `torrent`, made by makeTorrent(), with an announcement.
std::string announced(std::string_view torrent, const Announcement& announcement);
// Throws UsageError for a swarm that admits by certificate: the authority is in the metadata, which
// peers give to those only that they have admitted.
std::string magnetLink(std::string_view torrent, const Announcement& announcement);

struct TorrentLimits {
  // 64 GiB, the store's own limit, makes 8192 pieces, of which the metadata takes 20 + 32 bytes
  // each. Others choose smaller pieces.
  std::size_t bytes = 4 << 20;
  std::size_t pieces = 1 << 16;
  // Of the file as distributed, as the store has it.
  std::uint64_t fileBytes = 64ULL << 30;
  // A piece is held against its hash as a whole, so it is the least that can be verified.
  std::uint32_t pieceBytes = 32 << 20;
  std::size_t signatureBytes = 256 << 10;
};

// A torrent that may be downloaded: one image, and perhaps its signature.
struct ImageTorrent {
  std::shared_ptr<libtorrent::torrent_info> info;
  std::string infoHash;  // v1, or v2 cut to 20 bytes where there is no v1, in hex
  std::uint64_t imageSize = 0;
  int imageFile = 0;                      // which of its files
  std::optional<int> signatureFile = {};  // "x.aci.asc" beside "x.aci", in torrents of others
  std::optional<std::string> signature = {};
  std::optional<SwarmCa> ca = {};  // the swarm admits by its certificates
  std::vector<std::string> webSeeds = {};
  std::vector<std::string> trackers = {};
};

// Throws Error on what is no torrent, over a limit, or of anything else than one image with at most
// its signature.
ImageTorrent parseTorrent(std::string_view bytes, const TorrentLimits& limits = {});
// The same for metadata that came from a swarm.
ImageTorrent checkInfo(std::shared_ptr<libtorrent::torrent_info> info,
                       const TorrentLimits& limits = {});

}  // namespace actool::p2p
