// Cryptographic digests over OpenSSL's EVP.
//
// Two digests must never be mixed up and have two types: schema::ImageId is the SHA-512 of
// the *uncompressed tar*; Digest here is that of some file's bytes as they are, written as
// OCI descriptors write it ("sha256:9f86...").
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace actool {

enum class DigestAlgorithm { sha256, sha512 };

std::string_view name(DigestAlgorithm algorithm);  // "sha256", "sha512"

class Digest {
 public:
  // "sha256:<64 hex>" or "sha512:<128 hex>", lower case; anything else throws Error.
  static Digest parse(std::string_view text);
  Digest(DigestAlgorithm algorithm, std::string hex);  // throws Error on a bad length or digit

  DigestAlgorithm algorithm() const { return algorithm_; }
  const std::string& hex() const { return hex_; }
  std::string str() const;
  auto operator<=>(const Digest&) const = default;

 private:
  DigestAlgorithm algorithm_;
  std::string hex_;
};

// Incremental. finish() may be called once.
class Hasher {
 public:
  explicit Hasher(DigestAlgorithm algorithm);
  ~Hasher();
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;
  void update(std::span<const std::byte> bytes);
  void update(std::string_view text);
  Digest finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

Digest digestOf(DigestAlgorithm algorithm, std::string_view text);
// Reads `fd` from its offset to the end.
Digest digestOfFile(DigestAlgorithm algorithm, int fd, std::string_view what);

}  // namespace actool
