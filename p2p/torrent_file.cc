#include "p2p/torrent_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>
#include <span>

#include <libtorrent/add_torrent_params.hpp>
#include <libtorrent/address.hpp>
#include <libtorrent/bdecode.hpp>
#include <libtorrent/bencode.hpp>
#include <libtorrent/create_torrent.hpp>
#include <libtorrent/entry.hpp>
#include <libtorrent/error_code.hpp>
#include <libtorrent/hasher.hpp>
#include <libtorrent/magnet_uri.hpp>
#include <libtorrent/torrent_info.hpp>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/base/strings.h"

namespace actool::p2p {

namespace {

constexpr std::uint32_t kSmallestPiece = 64 << 10;
constexpr std::uint32_t kLargestPiece = 8 << 20;
constexpr std::uint64_t kPiecesWanted = 2048;
// BEP 52: what the hash trees' leaves are over.
constexpr std::size_t kBlockBytes = 16 << 10;
constexpr const char* kSignatureKey = "aci signature";
constexpr const char* kCaKey = "ssl-cert";
constexpr std::string_view kSignatureSuffix = ".asc";
constexpr int kMostNesting = 16;
constexpr int kMostTokens = 100'000;

std::string fileNameOf(const Digest& sha256) {
  return "sha256-" + sha256.hex() + ".aci";
}

// The root of a tree whose leaves are `hashes` and, to the next power of two, `pad`.
lt::sha256_hash treeRoot(std::vector<lt::sha256_hash> hashes, std::size_t leaves) {
  hashes.resize(leaves);
  while (hashes.size() > 1) {
    for (std::size_t i = 0; i < hashes.size() / 2; ++i) {
      lt::hasher256 hasher;
      hasher.update(hashes[2 * i]);
      hasher.update(hashes[2 * i + 1]);
      hashes[i] = hasher.final();
    }
    hashes.resize(hashes.size() / 2);
  }
  return hashes.front();
}

std::size_t powerOfTwoFrom(std::size_t least) {
  std::size_t power = 1;
  while (power < least)
    power *= 2;
  return power;
}

lt::sha1_hash hashPiece(std::span<const char> piece) {
  lt::hasher hasher;
  hasher.update(lt::span<const char>(piece.data(), static_cast<std::ptrdiff_t>(piece.size())));
  return hasher.final();
}

// BEP 52: a file of less than a piece has a tree just large enough for it.
lt::sha256_hash hashPieceTree(std::span<const char> piece, std::size_t leaves) {
  std::vector<lt::sha256_hash> blocks;
  for (std::size_t at = 0; at < piece.size(); at += kBlockBytes) {
    const auto block = piece.subspan(at, std::min(kBlockBytes, piece.size() - at));
    lt::hasher256 hasher;
    hasher.update(lt::span<const char>(block.data(), static_cast<std::ptrdiff_t>(block.size())));
    blocks.push_back(hasher.final());
  }
  return treeRoot(std::move(blocks), leaves);
}

lt::entry decoded(std::string_view torrent) {
  lt::error_code error;
  const lt::bdecode_node node =
      lt::bdecode(lt::span<const char>(torrent.data(), static_cast<std::ptrdiff_t>(torrent.size())),
                  error, nullptr, kMostNesting, kMostTokens);
  if (error) throw Error("this is no torrent: " + error.message());
  return lt::entry(node);
}

std::string encoded(const lt::entry& entry) {
  std::string bytes;
  lt::bencode(std::back_inserter(bytes), entry);
  return bytes;
}

[[noreturn]] void refuse(std::string_view why) {
  throw Error(fmt::format("the torrent is refused: {}", why));
}

// A name that could lead out of a directory says what its maker had in mind.
void checkFileName(std::string_view path) {
  for (const std::string_view part : split(path, '/')) {
    if (part.empty() || part == "." || part == "..") {
      refuse(fmt::format("its file \"{}\" has no usable name", printable(path)));
    }
  }
}

// The files that stand for something; BEP 47 pads are none.
std::vector<lt::file_index_t> realFiles(const lt::file_storage& files) {
  std::vector<lt::file_index_t> found;
  for (const lt::file_index_t file : files.file_range()) {
    if (!files.pad_file_at(file)) found.push_back(file);
  }
  return found;
}

void placeFiles(const lt::file_storage& files, const TorrentLimits& limits, ImageTorrent& torrent) {
  auto found = realFiles(files);
  if (found.empty() || found.size() > 2) {
    refuse(fmt::format("it has {} files; an image and its signature are wanted", found.size()));
  }
  for (const lt::file_index_t file : found) {
    checkFileName(files.file_path(file));
    if ((files.file_flags(file) & lt::file_storage::flag_symlink) != lt::file_flags_t{}) {
      refuse("it has a symbolic link");
    }
  }
  if (found.size() == 2) {
    if (std::string_view(files.file_path(found[0])).ends_with(kSignatureSuffix)) {
      std::swap(found[0], found[1]);
    }
    if (files.file_path(found[1]) != files.file_path(found[0]) + std::string(kSignatureSuffix)) {
      refuse(fmt::format("its files \"{}\" and \"{}\" are not an image and its signature",
                         printable(files.file_path(found[0])),
                         printable(files.file_path(found[1]))));
    }
    if (files.file_size(found[1]) > static_cast<std::int64_t>(limits.signatureBytes)) {
      refuse("its signature is larger than any");
    }
    torrent.signatureFile = static_cast<int>(found[1]);
  }
  torrent.imageFile = static_cast<int>(found[0]);
  torrent.imageSize = static_cast<std::uint64_t>(files.file_size(found[0]));
  if (torrent.imageSize == 0) refuse("its image is empty");
  if (torrent.imageSize > limits.fileBytes) {
    refuse(fmt::format("its image has {}, more than the limit of {}",
                       formatByteSize(torrent.imageSize), formatByteSize(limits.fileBytes)));
  }
}

}  // namespace

std::uint32_t pieceSizeFor(std::uint64_t fileSize) {
  std::uint32_t size = kSmallestPiece;
  while (size < kLargestPiece && fileSize > kPiecesWanted * size)
    size *= 2;
  return size;
}

std::string makeTorrent(int fd, std::string_view what, const TorrentContent& content,
                        const std::function<void(std::uint64_t)>& progress) {
  if (content.size == 0) throw Error(fmt::format("{} is empty", what));
  const std::uint32_t pieceSize = pieceSizeFor(content.size);
  lt::file_storage files;
  files.add_file(fileNameOf(content.sha256), static_cast<std::int64_t>(content.size));
  lt::create_torrent torrent(files, static_cast<int>(pieceSize));
  torrent.set_creation_date(0);
  torrent.set_priv(content.isPrivate);

  const std::size_t leaves = content.size > pieceSize
                                 ? pieceSize / kBlockBytes
                                 : powerOfTwoFrom((content.size + kBlockBytes - 1) / kBlockBytes);
  Hasher hasher(DigestAlgorithm::sha256);
  std::vector<char> piece(pieceSize);
  std::uint64_t done = 0;
  for (lt::piece_index_t index{0};; ++index) {
    const std::size_t got = readFull(fd, std::as_writable_bytes(std::span(piece)), what);
    if (got == 0) break;
    done += got;
    if (done > content.size) break;
    const auto bytes = std::span<const char>(piece).first(got);
    hasher.update(std::string_view(bytes.data(), bytes.size()));
    torrent.set_hash(index, hashPiece(bytes));
    torrent.set_hash2(lt::file_index_t{0}, lt::piece_index_t::diff_type(static_cast<int>(index)),
                      hashPieceTree(bytes, leaves));
    if (progress) progress(done);
  }
  if (done != content.size || hasher.finish() != content.sha256) {
    throw Error(fmt::format("{} is not what its size and digest say", what),
                "if it lies in the store, see 'actool image fsck'");
  }
  lt::entry entry = torrent.generate();
  entry.dict().erase("created by");
  if (!content.signature.empty()) entry["info"][kSignatureKey] = content.signature;
  if (content.ca) entry["info"][kCaKey] = content.ca->pem();
  return encoded(entry);
}

std::string v1Form(std::string_view torrent) {
  lt::entry entry = decoded(torrent);
  entry["info"].dict().erase("file tree");
  entry["info"].dict().erase("meta version");
  entry.dict().erase("piece layers");
  return encoded(entry);
}

std::string announced(std::string_view torrent, const Announcement& announcement) {
  lt::entry entry = decoded(torrent);
  if (!announcement.trackers.empty()) {
    entry["announce"] = announcement.trackers.front();
    lt::entry::list_type tiers;
    for (const auto& tracker : announcement.trackers)
      tiers.emplace_back(lt::entry::list_type{lt::entry(tracker)});
    entry["announce-list"] = std::move(tiers);
  }
  if (!announcement.webSeeds.empty()) {
    lt::entry::list_type seeds;
    for (const auto& url : announcement.webSeeds)
      seeds.emplace_back(url);
    entry["url-list"] = std::move(seeds);
  }
  if (!announcement.nodes.empty()) {
    lt::entry::list_type nodes;
    for (const auto& [host, port] : announcement.nodes)
      nodes.emplace_back(lt::entry::list_type{lt::entry(host), lt::entry(port)});
    entry["nodes"] = std::move(nodes);
  }
  return encoded(entry);
}

std::string magnetLink(std::string_view torrent, const Announcement& announcement) {
  const ImageTorrent parsed = parseTorrent(torrent);
  if (parsed.ca) {
    throw UsageError("a magnet link can't lead into a swarm that admits by certificate",
                     "give away the torrent file");
  }
  lt::add_torrent_params params;
  params.info_hashes = parsed.info->info_hashes();
  params.name = parsed.info->name();
  params.trackers = announcement.trackers;
  params.url_seeds = announcement.webSeeds;
  params.dht_nodes = announcement.nodes;
  for (const auto& [host, port] : announcement.peers) {
    lt::error_code error;
    const lt::address address = lt::make_address(host, error);
    if (error) {
      throw UsageError(fmt::format("\"{}\" is not an address of a peer", printable(host)),
                       "magnet links have addresses, not names");
    }
    params.peers.emplace_back(address, static_cast<std::uint16_t>(port));
  }
  return lt::make_magnet_uri(params) + fmt::format("&xl={}", parsed.imageSize);
}

ImageTorrent checkInfo(std::shared_ptr<lt::torrent_info> info, const TorrentLimits& limits) {
  const lt::file_storage& files = info->files();
  if (static_cast<std::size_t>(info->num_pieces()) > limits.pieces) {
    refuse(fmt::format("it has {} pieces, more than the limit of {}", info->num_pieces(),
                       limits.pieces));
  }
  if (static_cast<std::uint32_t>(info->piece_length()) > limits.pieceBytes) {
    refuse(fmt::format("its pieces have {}, more than the limit of {}",
                       formatByteSize(static_cast<std::uint64_t>(info->piece_length())),
                       formatByteSize(limits.pieceBytes)));
  }
  ImageTorrent torrent;
  placeFiles(files, limits, torrent);
  if (const lt::bdecode_node signature = info->info(kSignatureKey)) {
    if (signature.type() != lt::bdecode_node::string_t) refuse("its signature is none");
    const auto text = signature.string_value();
    if (text.size() > limits.signatureBytes) refuse("its signature is larger than any");
    torrent.signature = std::string(text.data(), text.size());
  }
  if (const lt::bdecode_node ca = info->info(kCaKey)) {
    // What libtorrent would take for no authority at all must not pass for an open swarm.
    if (ca.type() != lt::bdecode_node::string_t) refuse("its authority is none");
    try {
      torrent.ca = SwarmCa::parse({ca.string_value().data(), ca.string_value().size()});
    } catch (const Error& error) {
      refuse(fmt::format("its authority's certificate: {}", error.what()));
    }
  }
  torrent.infoHash = toHex(info->info_hashes().get_best().to_string());
  if (info->info_hashes().has_v1()) torrent.infoHash = toHex(info->info_hashes().v1.to_string());
  for (const auto& seed : info->web_seeds()) {
    if (seed.type == lt::web_seed_entry::url_seed) torrent.webSeeds.push_back(seed.url);
  }
  for (const auto& tracker : info->trackers())
    torrent.trackers.push_back(tracker.url);
  torrent.info = std::move(info);
  return torrent;
}

ImageTorrent parseTorrent(std::string_view bytes, const TorrentLimits& limits) {
  if (bytes.size() > limits.bytes) {
    refuse(fmt::format("it has more than {}", formatByteSize(limits.bytes)));
  }
  lt::error_code error;
  int position = 0;
  const lt::bdecode_node node =
      lt::bdecode(lt::span<const char>(bytes.data(), static_cast<std::ptrdiff_t>(bytes.size())),
                  error, &position, kMostNesting, kMostTokens);
  if (error) refuse(fmt::format("byte {}: {}", position, error.message()));
  // The sizes are looked at before anything is allocated by them.
  lt::load_torrent_limits most;
  most.max_buffer_size = static_cast<int>(limits.bytes);
  most.max_pieces = static_cast<int>(limits.pieces);
  most.max_decode_depth = kMostNesting;
  most.max_decode_tokens = kMostTokens;
  std::shared_ptr<lt::torrent_info> info;
  try {
    info = std::make_shared<lt::torrent_info>(node, most);
  } catch (const lt::system_error& failure) {
    refuse(failure.code().message());
  }
  return checkInfo(std::move(info), limits);
}

}  // namespace actool::p2p
