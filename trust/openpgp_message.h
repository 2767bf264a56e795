// A detached signature and what it signs, as one inline-signed OpenPGP message (RFC 4880 section
// 11.3): one-pass signature packets, the bytes as a literal data packet, the signature packets.
//
// A signature over a binary document covers the bytes and its own hashed fields, not how they are
// packed, so both forms are the same statement. gpg (2.2, lib/plaintext.c's do_hash) takes the
// bytes of a detached signature one by one, those of a literal packet by the block: four times as
// fast.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "trust/openpgp_packets.h"

namespace actool::trust {

// Used by one thread. What the calls return is valid until the next call, and the bytes in it as
// long as those that were given.
class OpenPgpMessage {
 public:
  using Pieces = std::vector<std::span<const std::byte>>;

  explicit OpenPgpMessage(DetachedSignature signature);

  // What goes into the message for these bytes, which come after those before. Some are kept
  // until there are enough: the first part of a packet has to be 512 bytes long.
  const Pieces& add(std::span<const std::byte> bytes);
  // The rest of it.
  const Pieces& end();

 private:
  void put(std::string_view text) { pieces_.push_back(std::as_bytes(std::span(text))); }

  const DetachedSignature signature_;
  std::string head_;    // up to and with the first part
  std::size_t bodyAt_;  // where in it the literal packet's body begins
  bool begun_ = false;
  std::string end_;
  Pieces pieces_;
};

}  // namespace actool::trust
