// libtorrent's disk, over files that somebody else opened: nothing here knows a path, makes a file
// or maps memory. What only copies to or from the page cache is done at once, in the session's
// thread: to hand a block of 16 KiB to another one and back takes longer than that. One thread
// hashes, and writes while the disk is slow; another one reads for peers what has to come from the
// disk.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include <libtorrent/disk_interface.hpp>
#include <libtorrent/session_params.hpp>

#include "core/base/fd.h"

namespace actool::p2p {

// Where the bytes of one torrent lie. Made before the torrent is added, whose save_path is key().
// Calls may come from any thread.
class TorrentBytes {
 public:
  // `image` is the image's place among the torrent's files; bytes of other files are kept in
  // memory, as far as they are small (signatures), and read as zeros otherwise (pads).
  explicit TorrentBytes(std::string key) : key_(std::move(key)) {}

  const std::string& key() const { return key_; }

  // The image's bytes. A torrent waits for this with everything, so that its metadata can be looked
  // at first. `mayHaveData`: what is in the file is held against the piece hashes.
  void attach(int imageFile, UniqueFd readable, UniqueFd writable, bool mayHaveData);
  // From now on nothing is written: once the pieces that were asked for are there, no descriptor is
  // left that could.
  void seal();
  // Bytes of another file than the image.
  std::string other(int file) const;

 private:
  friend class Disk;

  std::string key_;
  mutable std::mutex mutex_;
  // Shared with what is being read or written just now.
  std::shared_ptr<const UniqueFd> readable_;
  std::shared_ptr<const UniqueFd> writable_;
  int imageFile_ = -1;
  bool mayHaveData_ = false;
  std::map<int, std::string> others_;
  std::function<void(bool attached)> onAttached_;  // false: the torrent ends without
};

// The torrents that a session's disk may be asked for. Outlives the session.
class BytesRegistry {
 public:
  void add(std::shared_ptr<TorrentBytes> bytes);
  void remove(const std::string& key);
  std::shared_ptr<TorrentBytes> find(const std::string& key) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<TorrentBytes>> bytes_;
};

// For session_params::disk_io_constructor.
lt::disk_io_constructor_type diskOver(const BytesRegistry& registry);

}  // namespace actool::p2p
