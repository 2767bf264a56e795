#include "core/schema/image_id.h"

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/strings.h"

namespace actool::schema {
namespace {

constexpr std::string_view kPrefix = "sha512-";
constexpr std::size_t kHexDigits = 128;

// The digits behind "sha512-" when there are `least` to 128 of them.
std::optional<std::string_view> hexOf(std::string_view text, std::size_t least) {
  if (!text.starts_with(kPrefix)) return std::nullopt;
  const std::string_view hex = text.substr(kPrefix.size());
  if (hex.size() < least || hex.size() > kHexDigits || !isLowerHex(hex)) return std::nullopt;
  return hex;
}

}  // namespace

ImageId ImageId::parse(std::string_view text) {
  if (auto id = tryParse(text)) return *std::move(id);
  throw Error(fmt::format("\"{}\" is no image ID", printable(text)),
              "an image ID is \"sha512-\" and 128 lower-case hex digits");
}

std::optional<ImageId> ImageId::tryParse(std::string_view text) {
  if (!hexOf(text, kHexDigits)) return std::nullopt;
  return ImageId(std::string(text));
}

ImageId ImageId::fromTarDigest(const Digest& sha512) {
  if (sha512.algorithm() != DigestAlgorithm::sha512) {
    throw Error(fmt::format("an image ID cannot be made of the digest {}", sha512.str()));
  }
  return ImageId(std::string(kPrefix) + sha512.hex());
}

std::optional<ImageIdPrefix> ImageIdPrefix::tryParse(std::string_view text) {
  if (!hexOf(text, 2)) return std::nullopt;
  return ImageIdPrefix(std::string(text));
}

}  // namespace actool::schema
