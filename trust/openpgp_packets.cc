#include "trust/openpgp_packets.h"

#include <fmt/format.h>

#include <optional>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "trust/verifier.h"

namespace actool::trust {
namespace {

enum Tag : int {
  kSignatureTag = 2,
  kSecretKeyTag = 5,
  kPublicKeyTag = 6,
  kSecretSubkeyTag = 7,
  kTrustTag = 12,
  kUserIdTag = 13,
  kPublicSubkeyTag = 14,
  kUserAttributeTag = 17,
};

std::uint8_t byteAt(std::string_view text, std::size_t i) {
  return static_cast<std::uint8_t>(text[i]);
}

std::size_t bigEndian(std::string_view bytes) {
  std::size_t value = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i)
    value = value << 8 | byteAt(bytes, i);
  return value;
}

// Takes bytes off the front of a text; throws TrustError when they are not there.
class Reader {
 public:
  explicit Reader(std::string_view rest) : rest_(rest) {}

  bool empty() const { return rest_.empty(); }
  std::size_t left() const { return rest_.size(); }
  std::string_view take(std::size_t n) {
    if (n > rest_.size()) throw TrustError("truncated OpenPGP packet");
    const std::string_view out = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return out;
  }
  std::size_t number(std::size_t n) { return bigEndian(take(n)); }

 private:
  std::string_view rest_;
};

struct Packet {
  int tag = 0;
  std::string_view whole;
  std::string_view body;
};

// Partial and indeterminate lengths are for data of unknown size: neither keys nor
// signatures have them.
std::size_t packetLength(Reader& reader, std::uint8_t header) {
  if ((header & 0x40) == 0) {  // old format
    const int type = header & 3;
    if (type == 3) throw TrustError("OpenPGP packet of indeterminate length");
    return reader.number(std::size_t{1} << type);
  }
  const std::size_t first = reader.number(1);
  if (first < 192) return first;
  if (first < 224) return ((first - 192) << 8) + reader.number(1) + 192;
  if (first < 255) throw TrustError("OpenPGP packet in parts");
  return reader.number(4);
}

std::vector<Packet> splitPackets(std::string_view data) {
  std::vector<Packet> packets;
  Reader reader(data);
  while (!reader.empty()) {
    const std::size_t start = data.size() - reader.left();
    const auto header = static_cast<std::uint8_t>(reader.number(1));
    if ((header & 0x80) == 0) throw TrustError("not OpenPGP data");
    Packet packet;
    packet.tag = (header & 0x40) != 0 ? header & 0x3f : (header >> 2) & 0x0f;
    packet.body = reader.take(packetLength(reader, header));
    packet.whole = data.substr(start, data.size() - reader.left() - start);
    packets.push_back(packet);
  }
  return packets;
}

int base64Value(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  if (c == '/') return 63;
  return -1;
}

// Appends the bytes of `lines` joined; '=' only at the end, as RFC 4880 section 6.3.
void decodeBase64(const std::string& text, std::string& out) {
  if (text.size() % 4 != 0) throw TrustError("broken armour: truncated base64");
  for (std::size_t i = 0; i < text.size(); i += 4) {
    std::uint32_t value = 0;
    int padding = 0;
    for (std::size_t k = 0; k < 4; ++k) {
      const char c = text[i + k];
      const bool mayPad = i + 4 == text.size() && k >= 2;
      if (c == '=' && mayPad) {
        ++padding;
        value <<= 6;
        continue;
      }
      const int digit = base64Value(c);
      if (digit < 0 || padding > 0) {
        throw TrustError("broken armour: " + printable(std::string_view(&c, 1)) + " is not base64");
      }
      value = value << 6 | static_cast<std::uint32_t>(digit);
    }
    for (int k = 0; k < 3 - padding; ++k) {
      out += static_cast<char>(static_cast<unsigned char>(value >> (16 - 8 * k)));
    }
  }
}

// Takes the armour off every block of `kind` ("SIGNATURE"). Text around blocks is ignored, other
// kinds of blocks are refused. Nothing when there is no armour at all.
std::optional<std::string> dearmor(std::string_view text, std::string_view kind) {
  static constexpr std::string_view kBegin = "-----BEGIN PGP ";
  static constexpr std::string_view kDashes = "-----";
  enum class State { outside, headers, body } state = State::outside;
  std::string out;
  std::string base64;
  bool any = false;
  const std::string end = "-----END PGP " + std::string(kind) + "-----";
  for (const std::string_view raw : split(text, '\n')) {
    const std::string_view line = trim(raw);
    if (line.starts_with(kBegin) && line.ends_with(kDashes)) {
      const auto found = line.substr(kBegin.size(), line.size() - kBegin.size() - kDashes.size());
      if (state != State::outside) throw TrustError("broken armour: a block in a block");
      if (found != kind) {
        throw TrustError("a PGP " + printable(found) + " where a PGP " + std::string(kind) +
                         " should be");
      }
      state = State::headers;
      any = true;
      base64.clear();
    } else if (state == State::headers) {
      if (line.empty()) {
        state = State::body;
      } else if (line.find(": ") == std::string_view::npos && !line.ends_with(':')) {
        throw TrustError("broken armour: no empty line after the headers");
      }
    } else if (state == State::body && line == end) {
      decodeBase64(base64, out);
      state = State::outside;
    } else if (state == State::body && !(line.size() == 5 && line.front() == '=')) {
      // "=XXXX" is the CRC-24, which says nothing that the signature doesn't say better.
      base64 += line;
    }
  }
  if (!any) return std::nullopt;
  if (state != State::outside) throw TrustError("truncated armour");
  return out;
}

bool looksBinary(std::string_view text) {
  return !text.empty() && (byteAt(text, 0) & 0x80) != 0;
}

// Hashed and unhashed subpackets alike: a wrong issuer only leads to a key that does not
// verify.
void readSubpackets(std::string_view area, SignaturePacket& signature) {
  Reader reader(area);
  while (!reader.empty()) {
    std::size_t length = reader.number(1);
    if (length == 255) {
      length = reader.number(4);
    } else if (length >= 192) {
      length = ((length - 192) << 8) + reader.number(1) + 192;
    }
    Reader body(reader.take(length));
    const std::size_t type = body.number(1) & 0x7f;
    if (type == 16 && body.left() == 8) signature.issuerKeyId = toHex(body.take(8));
    if (type == 33 && body.left() > 1) {
      body.take(1);  // the key's version
      signature.issuerFingerprint = toHex(body.take(body.left()));
    }
  }
}

SignaturePacket readSignature(std::string_view body) {
  Reader reader(body);
  const std::size_t version = reader.number(1);
  if (version != 4) {
    throw TrustError("OpenPGP signature of version " + std::to_string(version) +
                     ", only version 4 is known");
  }
  const std::size_t type = reader.number(1);
  // A text signature (0x01) also fits texts with other line ends: other bytes.
  if (type != 0) {
    throw TrustError(
        fmt::format("OpenPGP signature of type 0x{:02x}, not over a binary file", type),
        "sign with 'gpg --armor --detach-sign'");
  }
  SignaturePacket signature;
  signature.keyAlgorithm = static_cast<std::uint8_t>(reader.number(1));
  signature.hashAlgorithm = static_cast<std::uint8_t>(reader.number(1));
  readSubpackets(reader.take(reader.number(2)), signature);
  readSubpackets(reader.take(reader.number(2)), signature);
  return signature;
}

}  // namespace

std::string SignaturePacket::issuer() const {
  if (!issuerFingerprint.empty()) return issuerFingerprint;
  return issuerKeyId.empty() ? "(not stated)" : issuerKeyId;
}

DetachedSignature parseDetachedSignature(std::string_view text) {
  if (text.size() > kMaxSignatureBytes) {
    throw TrustError(fmt::format("signature of more than {} bytes", kMaxSignatureBytes));
  }
  DetachedSignature out;
  if (looksBinary(text)) {
    out.packets = text;
  } else {
    auto packets = dearmor(text, "SIGNATURE");
    if (!packets) throw TrustError("not an OpenPGP signature");
    out.packets = *std::move(packets);
  }
  for (const Packet& packet : splitPackets(out.packets)) {
    if (packet.tag != kSignatureTag) {
      throw TrustError(
          fmt::format("not a detached OpenPGP signature: packet of type {}", packet.tag));
    }
    out.signatures.push_back(readSignature(packet.body));
  }
  if (out.signatures.empty()) throw TrustError("empty OpenPGP signature");
  if (out.signatures.size() > kMaxSignatures) {
    throw TrustError(fmt::format("more than {} signatures", kMaxSignatures));
  }
  return out;
}

std::string parsePublicKeys(std::string_view text, std::string_view what) {
  return withContext(what, [&] {
    if (text.size() > kMaxKeyBytes) {
      throw TrustError(fmt::format("key file of more than {} bytes", kMaxKeyBytes));
    }
    if (text.find("-----BEGIN PGP PRIVATE KEY BLOCK-----") != std::string_view::npos) {
      throw TrustError("a secret key", "export the public key with 'gpg --armor --export'");
    }
    std::string data(text);
    if (!looksBinary(text)) {
      auto packets = dearmor(text, "PUBLIC KEY BLOCK");
      if (!packets) throw TrustError("no OpenPGP public key");
      data = *std::move(packets);
    }
    std::string out;
    for (const Packet& packet : splitPackets(data)) {
      switch (packet.tag) {
        case kSecretKeyTag:
        case kSecretSubkeyTag:
          throw TrustError("a secret key", "export the public key with 'gpg --armor --export'");
        case kTrustTag:
          continue;  // gpg's private notes, among them "this signature was checked"
        case kPublicKeyTag:
        case kPublicSubkeyTag:
        case kSignatureTag:
        case kUserIdTag:
        case kUserAttributeTag:
          if (out.empty() && packet.tag != kPublicKeyTag) {
            throw TrustError("does not begin with a public key");
          }
          out += packet.whole;
          break;
        default:
          throw TrustError(fmt::format("not an OpenPGP public key: packet of type {}", packet.tag));
      }
    }
    if (out.empty()) throw TrustError("no OpenPGP public key");
    return out;
  });
}

std::string hashAlgorithmName(int algorithm) {
  switch (algorithm) {
    case 1:
      return "MD5";
    case 2:
      return "SHA-1";
    case 3:
      return "RIPEMD-160";
    case 8:
      return "SHA-256";
    case 9:
      return "SHA-384";
    case 10:
      return "SHA-512";
    case 11:
      return "SHA-224";
    case 12:
      return "SHA3-256";
    case 14:
      return "SHA3-512";
    default:
      return "hash algorithm " + std::to_string(algorithm);
  }
}

bool isStrongHash(int algorithm) {
  return (algorithm >= 8 && algorithm <= 12) || algorithm == 14;
}

}  // namespace actool::trust
