// Image ID (appc spec/types.md): the SHA-512 of an image's *uncompressed tar*, written
// "sha512-<128 lower-case hex digits>". Not a Digest: that is of a file as it is.
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/digest.h"

namespace actool::schema {

class ImageId {
 public:
  static ImageId parse(std::string_view text);  // the full form only; throws Error
  static std::optional<ImageId> tryParse(std::string_view text);
  // From the SHA-512 over the uncompressed tar.
  static ImageId fromTarDigest(const Digest& sha512);

  const std::string& str() const { return text_; }
  std::string_view hex() const { return std::string_view(text_).substr(7); }
  Digest tarDigest() const { return Digest(DigestAlgorithm::sha512, std::string(hex())); }
  // "sha512-" and 12 digits, for tables.
  std::string shortForm() const { return text_.substr(0, 7 + 12); }
  auto operator<=>(const ImageId&) const = default;

 private:
  explicit ImageId(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

// "sha512-" and 2 to 128 hex digits: what an operator may type for an image ID.
class ImageIdPrefix {
 public:
  static std::optional<ImageIdPrefix> tryParse(std::string_view text);
  const std::string& str() const { return text_; }
  std::string_view hex() const { return std::string_view(text_).substr(7); }
  bool isFull() const { return text_.size() == 7 + 128; }
  bool matches(const ImageId& id) const { return id.str().starts_with(text_); }
  auto operator<=>(const ImageIdPrefix&) const = default;

 private:
  explicit ImageIdPrefix(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

}  // namespace actool::schema
