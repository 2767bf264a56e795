#include "core/base/mac.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include "core/base/error.h"
#include "core/base/owner.h"

namespace actool {
namespace {

void check(bool good, const char* attempt) {
  if (!good) throw Error(std::string("OpenSSL: ") + attempt + " failed");
}

unsigned char* raw(std::byte* bytes) {
  return reinterpret_cast<unsigned char*>(bytes);
}

const unsigned char* raw(std::span<const std::byte> bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

}  // namespace

MacKey::MacKey() {
  check(::RAND_priv_bytes(raw(bytes_.data()), static_cast<int>(bytes_.size())) == 1,
        "making a random key");
}

struct Mac::Impl {
  Owner<EVP_MAC, EVP_MAC_free> algorithm{::EVP_MAC_fetch(nullptr, "POLY1305", nullptr)};
  Owner<EVP_MAC_CTX, EVP_MAC_CTX_free> context{algorithm ? ::EVP_MAC_CTX_new(algorithm.get())
                                                         : nullptr};
};

Mac::Mac(const MacKey& key) : impl_(std::make_unique<Impl>()) {
  const std::span<const std::byte> bytes = key.bytes();
  check(impl_->context &&
            ::EVP_MAC_init(impl_->context.get(), raw(bytes), bytes.size(), nullptr) == 1,
        "beginning a tag");
}

Mac::~Mac() = default;
Mac::Mac(Mac&&) noexcept = default;
Mac& Mac::operator=(Mac&&) noexcept = default;

void Mac::update(std::span<const std::byte> bytes) {
  check(::EVP_MAC_update(impl_->context.get(), raw(bytes), bytes.size()) == 1,
        "going on with a tag");
}

Mac::Tag Mac::finish() {
  Tag tag{};
  std::size_t size = 0;
  check(::EVP_MAC_final(impl_->context.get(), raw(tag.data()), &size, tag.size()) == 1 &&
            size == tag.size(),
        "ending a tag");
  return tag;
}

}  // namespace actool
