#include "trust/openpgp_message.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace actool::trust {
namespace {

std::uint8_t byteAt(std::string_view text, std::size_t i) {
  return static_cast<std::uint8_t>(text.at(i));
}

void append(std::string& out, const OpenPgpMessage::Pieces& pieces) {
  for (const auto& piece : pieces)
    out.append(reinterpret_cast<const char*>(piece.data()), piece.size());
}

// The message of `bytes`, given `piece` at a time.
std::string messageOf(const DetachedSignature& signature, std::string_view bytes,
                      std::size_t piece) {
  OpenPgpMessage message(signature);
  std::string out;
  for (std::size_t at = 0; at < bytes.size(); at += piece)
    append(out, message.add(std::as_bytes(std::span(bytes.substr(at, piece)))));
  append(out, message.end());
  return out;
}

// Takes a literal packet off the front and returns its body, with every rule of RFC 4880 section
// 4.2.2.4 checked.
std::string takeLiteral(std::string_view& text) {
  EXPECT_EQ(byteAt(text, 0), 0x80 | 0x40 | 11);
  text.remove_prefix(1);
  std::string body;
  for (bool first = true;; first = false) {
    const std::uint8_t length = byteAt(text, 0);
    if (length == 255) {
      std::size_t size = 0;
      for (std::size_t i = 1; i <= 4; ++i)
        size = size << 8 | byteAt(text, i);
      EXPECT_TRUE(first);
      body += text.substr(5, size);
      text.remove_prefix(5 + size);
      return body;
    }
    if (length < 192) {
      body += text.substr(1, length);
      text.remove_prefix(std::size_t{1} + length);
      return body;
    }
    EXPECT_GE(length, 224);
    const std::size_t size = std::size_t{1} << (length & 0x1f);
    EXPECT_TRUE(!first || size >= 512) << size;
    body += text.substr(1, size);
    text.remove_prefix(1 + size);
  }
}

TEST(OpenPgpMessage, HasTheBytesWhateverTheirSizeAndPieces) {
  const DetachedSignature signature{"signature",
                                    {SignaturePacket{.keyAlgorithm = 22, .hashAlgorithm = 10}}};
  std::string all(70'000, ' ');
  for (std::size_t i = 0; i < all.size(); ++i)
    all[i] = static_cast<char>(i * 31 % 253);
  for (const std::size_t size : {0, 1, 505, 506, 507, 511, 512, 513, 1023, 1024, 70'000}) {
    for (const std::size_t piece : {1, 7, 506, 512, 4096, 65'536, 70'000}) {
      const std::string bytes = all.substr(0, size);
      const std::string message = messageOf(signature, bytes, piece);
      std::string_view rest = message;
      // One-pass signature: version 3, binary, SHA-512, EdDSA, no key ID, the last one.
      EXPECT_EQ(rest.substr(0, 15),
                std::string_view("\xc4\x0d\x03\0\x0a\x16\0\0\0\0\0\0\0\0\x01", 15));
      rest.remove_prefix(15);
      EXPECT_EQ(takeLiteral(rest), std::string("b\0\0\0\0\0", 6) + bytes)
          << size << " by " << piece;
      EXPECT_EQ(rest, "signature");
    }
  }
}

TEST(OpenPgpMessage, HasAOnePassPacketForEverySignatureInReverse) {
  DetachedSignature signature{"signatures", {}};
  for (const std::uint8_t hash : std::initializer_list<std::uint8_t>{8, 9, 10})
    signature.signatures.push_back(SignaturePacket{.keyAlgorithm = 1, .hashAlgorithm = hash});
  const std::string message = messageOf(signature, "bytes", 5);
  std::string hashes;
  std::string last;
  for (std::size_t i = 0; i < 3; ++i) {
    ASSERT_EQ(byteAt(message, 15 * i), 0xc4);
    hashes += message.at(15 * i + 4);
    last += message.at(15 * i + 14);
  }
  EXPECT_EQ(hashes, "\x0a\x09\x08");
  EXPECT_EQ(last, std::string("\0\0\x01", 3));
  EXPECT_EQ(byteAt(message, 45), 0xcb);
}

TEST(OpenPgpMessage, CopiesNoMoreThanItsBeginning) {
  OpenPgpMessage message(DetachedSignature{"signature", {SignaturePacket{}}});
  const std::string bytes(1 << 20, 'x');
  message.add(std::as_bytes(std::span(bytes).first(1000)));
  const auto& pieces = message.add(std::as_bytes(std::span(bytes)));
  ASSERT_EQ(pieces.size(), 2U);
  EXPECT_EQ(static_cast<const void*>(pieces[1].data()), bytes.data());
}

}  // namespace
}  // namespace actool::trust
