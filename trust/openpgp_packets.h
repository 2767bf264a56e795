// A look at OpenPGP data before gpg sees it (RFC 4880 sections 4.2, 5.2, 6.2; RFC 9580).
//
// gpg takes many things for a signature or a key file: inline-signed messages, which bring
// their own text along, compressed data, secret keys. Only plain sequences of signature
// packets, or of public keys with what belongs to them, get past these functions; and
// gpg is given the very bytes that were looked at, armour already taken off, so that two
// parsers can't see two things.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace actool::trust {

// What a signature packet says of itself. None of it is verified.
struct SignaturePacket {
  std::uint8_t keyAlgorithm = 0;    // RFC 4880 section 9.1
  std::uint8_t hashAlgorithm = 0;   // section 9.4
  std::string issuerFingerprint{};  // lower-case hex, empty when not stated
  std::string issuerKeyId{};        // 16 lower-case hex digits, empty when not stated

  // The fingerprint, else the key ID, else "(not stated)".
  std::string issuer() const;
};

struct DetachedSignature {
  std::string packets;                      // binary, signature packets only
  std::vector<SignaturePacket> signatures;  // at least one
};

// More makers than this on one image is an attack on the verifier's time.
inline constexpr std::size_t kMaxSignatures = 32;

// One or more signatures over a binary document (type 0x00, version 4), armoured or binary;
// several armoured blocks are one after the other. Throws TrustError when it is anything else,
// or longer than kMaxSignatureBytes.
DetachedSignature parseDetachedSignature(std::string_view text);

// The packets of one or more public keys, armoured (several blocks are one after the other) or
// binary. Throws TrustError, with `what` in front, when secret keys or anything else are there.
std::string parsePublicKeys(std::string_view text, std::string_view what);

// "SHA-256" and so on, or "hash algorithm 99".
std::string hashAlgorithmName(int algorithm);
// Whether signatures over a hash of this kind are accepted: the SHA-2 and SHA-3 families.
// MD5 and SHA-1 collisions are made by anyone today.
bool isStrongHash(int algorithm);

}  // namespace actool::trust
