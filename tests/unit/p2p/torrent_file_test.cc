#include "p2p/torrent_file.h"

#include <gtest/gtest.h>

#include <iterator>

#include <libtorrent/bencode.hpp>
#include <libtorrent/entry.hpp>
#include <libtorrent/file_storage.hpp>
#include <libtorrent/torrent_info.hpp>

#include "core/base/error.h"
#include "tests/support/errors.h"
#include "tests/unit/p2p/p2p_test_support.h"

namespace actool::p2p {
namespace {

using test::messageOf;

constexpr std::uint64_t kMiB = 1 << 20;
constexpr std::uint64_t kGiB = 1 << 30;

std::string bencoded(const lt::entry& entry) {
  std::string bytes;
  lt::bencode(std::back_inserter(bytes), entry);
  return bytes;
}

// A v1 torrent as others make it.
lt::entry foreign(const std::vector<std::pair<std::vector<std::string>, std::int64_t>>& files) {
  lt::entry entry;
  lt::entry& info = entry["info"];
  info["name"] = "folder";
  info["piece length"] = 16384;
  std::int64_t total = 0;
  lt::entry::list_type list;
  for (const auto& [path, size] : files) {
    lt::entry file;
    for (const auto& part : path)
      file["path"].list().emplace_back(part);
    file["length"] = size;
    total += size;
    list.push_back(std::move(file));
  }
  info["files"] = std::move(list);
  info["pieces"] = std::string(static_cast<std::size_t>((total + 16383) / 16384) * 20, 'x');
  return entry;
}

TEST(PieceSize, FollowsFromTheFileSize) {
  EXPECT_EQ(pieceSizeFor(1), 64U << 10);
  EXPECT_EQ(pieceSizeFor(128 * kMiB), 64U << 10);
  EXPECT_EQ(pieceSizeFor(128 * kMiB + 1), 128U << 10);
  EXPECT_EQ(pieceSizeFor(kGiB), 512U << 10);
  EXPECT_EQ(pieceSizeFor(16 * kGiB), 8U << 20);
  EXPECT_EQ(pieceSizeFor(64 * kGiB), 8U << 20);
}

// What anybody makes of these bytes, for ever: a change here parts the swarms of two releases.
TEST(MakeTorrent, InfoHashIsFixedByContent) {
  const std::string bytes = noise(300'000);
  const ImageTorrent torrent = parseTorrent(torrentOf(bytes, contentOf(bytes)));
  EXPECT_EQ(torrent.infoHash, "8cc1df15251b55cedff18676cce086b01a0bacd3");
  EXPECT_EQ(torrent.info->name(),
            "sha256-" + digestOf(DigestAlgorithm::sha256, bytes).hex() + ".aci");
  EXPECT_EQ(torrent.imageSize, 300'000U);
  EXPECT_EQ(torrent.signature, "the signature");
  EXPECT_TRUE(torrent.info->v1() && torrent.info->v2());
  EXPECT_EQ(parseTorrent(v1Form(torrentOf(bytes, contentOf(bytes)))).infoHash,
            "3d91538ea8792ec759b654cd13cb60358630714c");
}

TEST(MakeTorrent, SizesAroundPiecesAndBlocks) {
  for (const std::size_t size : {1, 16383, 16384, 16385, 65535, 65536, 65537, 3 * 65536}) {
    const std::string bytes = noise(size);
    const ImageTorrent torrent = parseTorrent(torrentOf(bytes, contentOf(bytes)));
    // libtorrent holds the piece layer against the root when it reads them.
    EXPECT_EQ(torrent.imageSize, size);
    EXPECT_EQ(torrent.info->num_pieces(), static_cast<int>((size + 65535) / 65536));
  }
}

TEST(MakeTorrent, WhatIsNotInTheInfoDictionaryChangesNoHash) {
  const std::string bytes = noise(100'000);
  const std::string plain = torrentOf(bytes, contentOf(bytes));
  const ImageTorrent other =
      parseTorrent(announced(plain, {.webSeeds = {"https://example.com/web.aci"},
                                     .trackers = {"udp://a.example:1", "http://b.example/announce"},
                                     .nodes = {{"192.0.2.1", 6881}},
                                     .peers = {}}));
  EXPECT_EQ(other.infoHash, parseTorrent(plain).infoHash);
  EXPECT_EQ(other.webSeeds, std::vector<std::string>{"https://example.com/web.aci"});
  EXPECT_EQ(other.trackers,
            (std::vector<std::string>{"udp://a.example:1", "http://b.example/announce"}));
  TorrentContent content = contentOf(bytes);
  content.isPrivate = true;
  EXPECT_NE(parseTorrent(torrentOf(bytes, content)).infoHash, other.infoHash);
  EXPECT_NE(parseTorrent(torrentOf(bytes, contentOf(bytes, "another"))).infoHash, other.infoHash);
}

TEST(MakeTorrent, OfAFileThatChanged) {
  const std::string bytes = noise(1000);
  const std::string message =
      "the image is not what its size and digest say; if it lies in the store, see 'actool image "
      "fsck'";
  TorrentContent content = contentOf(bytes);
  EXPECT_EQ(messageOf([&] { torrentOf(noise(999), content); }), message);
  EXPECT_EQ(messageOf([&] { torrentOf(noise(100'001), content); }), message);
  content.sha256 = digestOf(DigestAlgorithm::sha256, "");
  EXPECT_EQ(messageOf([&] { torrentOf(bytes, content); }), message);
}

TEST(MagnetLink, HasBothHashesAndPeers) {
  const std::string bytes = noise(1000);
  const std::string torrent = torrentOf(bytes, contentOf(bytes));
  const std::string link = magnetLink(torrent, {.webSeeds = {"https://example.com/web.aci"},
                                                .trackers = {},
                                                .nodes = {},
                                                .peers = {{"192.0.2.7", 6881}, {"::1", 1}}});
  EXPECT_TRUE(link.starts_with("magnet:?xt=urn:btih:" + parseTorrent(torrent).infoHash +
                               "&xt=urn:btmh:1220"))
      << link;
  EXPECT_TRUE(
      link.ends_with("&ws=https%3a%2f%2fexample.com%2fweb.aci&x.pe=192.0.2.7:6881&x.pe="
                     "[::1]:1&xl=1000"))
      << link;
  EXPECT_THROW(magnetLink(torrent, {{}, {}, {}, {{"host", 1}}}), UsageError);
}

TEST(ParseTorrent, TorrentsOfOthers) {
  const ImageTorrent pair =
      parseTorrent(bencoded(foreign({{{"web.aci.asc"}, 500}, {{"web.aci"}, 100'000}})));
  EXPECT_EQ(pair.imageFile, 1);
  EXPECT_EQ(pair.signatureFile, 0);
  EXPECT_EQ(pair.signature, std::nullopt);
  EXPECT_EQ(parseTorrent(bencoded(foreign({{{"web.aci"}, 5}}))).signatureFile, std::nullopt);
}

TEST(ParseTorrent, RefusesWhatIsNoImage) {
  const auto refusal = [](const lt::entry& entry) {
    return messageOf([&] { parseTorrent(bencoded(entry)); });
  };
  EXPECT_EQ(refusal(foreign({{{"a"}, 1}, {{"b"}, 1}, {{"c"}, 1}})),
            "the torrent is refused: it has 3 files; an image and its signature are wanted");
  EXPECT_EQ(refusal(foreign({{{"a"}, 1}, {{"b"}, 1}})),
            "the torrent is refused: its files \"folder/a\" and \"folder/b\" are not an image and "
            "its signature");
  EXPECT_EQ(refusal(foreign({{{"a"}, 1}, {{"a.asc"}, 300'000}})),
            "the torrent is refused: its signature is larger than any");
  EXPECT_EQ(refusal(foreign({{{"a"}, 0}, {{"a.asc"}, 3}})),
            "the torrent is refused: its image is empty");
  EXPECT_EQ(refusal(foreign({{{"a"}, (std::int64_t{1} << 30) + 1}})),
            "the torrent is refused: too many pieces in torrent");
}

TEST(ParseTorrent, NoNameLeadsOutOfADirectory) {
  // libtorrent mends names; ours is a second door, for whatever it lets through.
  for (const auto& path : std::vector<std::vector<std::string>>{
           {"..", "..", "etc", "passwd"}, {"/etc/passwd"}, {""}, {"."}, {"a", "..", "b"}}) {
    try {
      const ImageTorrent torrent = parseTorrent(bencoded(foreign({{path, 5}})));
      const std::string name = torrent.info->files().file_path(lt::file_index_t{0});
      EXPECT_EQ(("/" + name + "/").find("/../"), std::string::npos) << name;
      EXPECT_FALSE(name.starts_with('/')) << name;
    } catch (const Error&) {
    }
  }
}

TEST(ParseTorrent, Limits) {
  const std::string bytes = noise(300'000);
  const std::string torrent = torrentOf(bytes, contentOf(bytes));
  const auto refusal = [&](auto change) {
    TorrentLimits limits;
    change(limits);
    return messageOf([&] { parseTorrent(torrent, limits); });
  };
  EXPECT_EQ(refusal([](auto& limits) { limits.bytes = 100; }),
            "the torrent is refused: it has more than 100 B");
  EXPECT_EQ(refusal([](auto& limits) { limits.fileBytes = 100'000; }),
            "the torrent is refused: its image has 293.0 KiB, more than the limit of 97.7 KiB");
  EXPECT_EQ(refusal([](auto& limits) { limits.pieceBytes = 1024; }),
            "the torrent is refused: its pieces have 64.0 KiB, more than the limit of 1.0 KiB");
  EXPECT_EQ(refusal([](auto& limits) { limits.signatureBytes = 3; }),
            "the torrent is refused: its signature is larger than any");
  EXPECT_EQ(refusal([](auto& limits) { limits.pieces = 2; }).substr(0, 24),
            "the torrent is refused: ");
}

TEST(ParseTorrent, Garbage) {
  for (const char* text : {"", "d", "de", "i1e", "d4:infode", "d4:infoi1ee", "hello"}) {
    EXPECT_EQ(messageOf([&] { parseTorrent(text); }).substr(0, 24), "the torrent is refused: ")
        << text;
  }
}

}  // namespace
}  // namespace actool::p2p
