#include "trust/openpgp_message.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <utility>

namespace actool::trust {
namespace {

// New format (RFC 4880 section 4.2).
constexpr char kOnePassTag = '\xc4';
constexpr char kLiteralTag = '\xcb';

// Partial body lengths (section 4.2.2.4): a power of two, the first no less than 512.
constexpr std::size_t kFirstPart = 512;
constexpr std::size_t kLargestPartBits = 30;
constexpr std::array<char, kLargestPartBits + 1> kPartLengths = [] {
  std::array<char, kLargestPartBits + 1> lengths{};
  for (std::size_t bits = 0; bits < lengths.size(); ++bits)
    lengths[bits] = static_cast<char>(224 + bits);
  return lengths;
}();

// Section 5.9: a binary document, no name, no date.
constexpr std::string_view kLiteralHead("b\0\0\0\0\0", 6);

// Section 5.4. gpg wants one for every signature, and looks in it for the hash algorithm only; the
// key ID is left at zero, as of a signer who is not named.
std::string onePass(const SignaturePacket& signature, bool last) {
  constexpr char kVersion = 3;
  constexpr char kBinary = 0;
  std::string body{kVersion, kBinary, static_cast<char>(signature.hashAlgorithm),
                   static_cast<char>(signature.keyAlgorithm)};
  body.append(8, '\0');
  body += last ? '\1' : '\0';
  return std::string{kOnePassTag, static_cast<char>(body.size())} + body;
}

std::string fourBytes(std::size_t value) {
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8)
    out += static_cast<char>(value >> shift);
  return out;
}

}  // namespace

OpenPgpMessage::OpenPgpMessage(DetachedSignature signature) : signature_(std::move(signature)) {
  // They nest: the last one-pass packet belongs to the first signature.
  const auto& signatures = signature_.signatures;
  for (auto each = signatures.rbegin(); each != signatures.rend(); ++each)
    head_ += onePass(*each, each + 1 == signatures.rend());
  head_ += kLiteralTag;
  bodyAt_ = head_.size();
  head_ += kLiteralHead;
}

const OpenPgpMessage::Pieces& OpenPgpMessage::add(std::span<const std::byte> bytes) {
  pieces_.clear();
  if (!begun_) {
    const std::size_t count = std::min(bytes.size(), kFirstPart - (head_.size() - bodyAt_));
    head_.append(reinterpret_cast<const char*>(bytes.data()), count);
    bytes = bytes.subspan(count);
    if (head_.size() - bodyAt_ < kFirstPart) return pieces_;
    head_.insert(bodyAt_, 1, kPartLengths[std::countr_zero(kFirstPart)]);
    begun_ = true;
    put(head_);
  }
  while (!bytes.empty()) {
    const std::size_t bits =
        std::min<std::size_t>(std::bit_width(bytes.size()) - 1, kLargestPartBits);
    put({&kPartLengths[bits], 1});
    pieces_.push_back(bytes.first(std::size_t{1} << bits));
    bytes = bytes.subspan(std::size_t{1} << bits);
  }
  return pieces_;
}

const OpenPgpMessage::Pieces& OpenPgpMessage::end() {
  pieces_.clear();
  if (begun_) {
    end_ = std::string(1, '\0');  // a last part of no bytes
  } else {
    head_.insert(bodyAt_, '\xff' + fourBytes(head_.size() - bodyAt_));
    end_ = head_;
  }
  end_ += signature_.packets;
  put(end_);
  return pieces_;
}

}  // namespace actool::trust
