// Apart from digest.cc so that programs which only name digests, the executors among them, link no
// crypto library: start-up time is a feature.
#include <openssl/err.h>
#include <openssl/evp.h>

#include <array>
#include <vector>

#include "core/base/digest.h"
#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/base/strings.h"

namespace actool {
namespace {

void require(int result, std::string_view what) {
  if (result == 1) return;
  std::array<char, 256> text{};
  ERR_error_string_n(ERR_get_error(), text.data(), text.size());
  throw Error(std::string(what) + ": " + text.data());
}

}  // namespace

struct Hasher::Impl {
  explicit Impl(DigestAlgorithm kind) : algorithm(kind), context(EVP_MD_CTX_new()) {
    require(context != nullptr ? 1 : 0, "making a digest context");
  }
  ~Impl() { EVP_MD_CTX_free(context); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  DigestAlgorithm algorithm;
  EVP_MD_CTX* context;
};

Hasher::Hasher(DigestAlgorithm algorithm) : impl_(std::make_unique<Impl>(algorithm)) {
  const EVP_MD* kind = algorithm == DigestAlgorithm::sha256 ? EVP_sha256() : EVP_sha512();
  require(EVP_DigestInit_ex(impl_->context, kind, nullptr), "starting a digest");
}
Hasher::~Hasher() = default;
Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;

void Hasher::update(std::span<const std::byte> bytes) {
  require(EVP_DigestUpdate(impl_->context, bytes.data(), bytes.size()), "computing a digest");
}

void Hasher::update(std::string_view text) {
  update(std::as_bytes(std::span(text)));
}

Digest Hasher::finish() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> value{};
  unsigned int size = 0;
  require(EVP_DigestFinal_ex(impl_->context, value.data(), &size), "finishing a digest");
  return {impl_->algorithm, toHex({reinterpret_cast<const char*>(value.data()), size})};
}

Digest digestOf(DigestAlgorithm algorithm, std::string_view text) {
  Hasher hasher(algorithm);
  hasher.update(text);
  return hasher.finish();
}

Digest digestOfFile(DigestAlgorithm algorithm, int fd, std::string_view what) {
  Hasher hasher(algorithm);
  std::vector<std::byte> buffer(256 << 10);
  while (const std::size_t count = readSome(fd, buffer, what)) {
    hasher.update(std::span(buffer).first(count));
  }
  return hasher.finish();
}

}  // namespace actool
