// A tag of bytes under a key that nobody else knows: Poly1305 (RFC 8439) over OpenSSL's EVP,
// several times as fast as a digest. It tells whether bytes that were read twice were the same both
// times, also when somebody wants them to differ. For that alone: a key is good for one sequence of
// bytes.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>

namespace actool {

class MacKey {
 public:
  MacKey();  // random
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::array<std::byte, 32> bytes_{};
};

// Incremental. finish() may be called once.
class Mac {
 public:
  using Tag = std::array<std::byte, 16>;

  explicit Mac(const MacKey& key);
  ~Mac();
  Mac(Mac&&) noexcept;
  Mac& operator=(Mac&&) noexcept;
  void update(std::span<const std::byte> bytes);
  Tag finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace actool
