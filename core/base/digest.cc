#include "core/base/digest.h"

#include "core/base/error.h"
#include "core/base/strings.h"

namespace actool {
namespace {

std::size_t hexLength(DigestAlgorithm algorithm) {
  return algorithm == DigestAlgorithm::sha256 ? 64 : 128;
}

}  // namespace

std::string_view name(DigestAlgorithm algorithm) {
  return algorithm == DigestAlgorithm::sha256 ? "sha256" : "sha512";
}

Digest::Digest(DigestAlgorithm algorithm, std::string hex)
    : algorithm_(algorithm), hex_(std::move(hex)) {
  if (hex_.size() != hexLength(algorithm) || !isLowerHex(hex_)) {
    throw Error("\"" + printable(hex_) + "\" is not a " + std::string(name(algorithm)) + " digest",
                "it has " + std::to_string(hexLength(algorithm)) + " lower-case hex digits");
  }
}

Digest Digest::parse(std::string_view text) {
  for (const DigestAlgorithm algorithm : {DigestAlgorithm::sha256, DigestAlgorithm::sha512}) {
    const std::string prefix = std::string(name(algorithm)) + ":";
    if (text.starts_with(prefix)) return {algorithm, std::string(text.substr(prefix.size()))};
  }
  throw Error("\"" + printable(text) + "\" is not a digest",
              "it looks like sha256:<64 hex digits>");
}

std::string Digest::str() const {
  return std::string(name(algorithm_)) + ":" + hex_;
}

}  // namespace actool
