#include "cas/aci_path_set.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include <cstring>

#include "core/base/error.h"

namespace actool::cas {

struct PathSet::Mac {
  EVP_MAC* mac = nullptr;
  EVP_MAC_CTX* context = nullptr;
  std::array<unsigned char, 16> key{};

  Mac() = default;
  Mac(const Mac&) = delete;
  Mac& operator=(const Mac&) = delete;
  ~Mac() {
    EVP_MAC_CTX_free(context);
    EVP_MAC_free(mac);
  }
};

PathSet::PathSet() : mac_(std::make_unique<Mac>()), slots_(1024) {
  mac_->mac = EVP_MAC_fetch(nullptr, "SIPHASH", nullptr);
  if (mac_->mac != nullptr) mac_->context = EVP_MAC_CTX_new(mac_->mac);
  std::size_t length = 16;
  const std::array<OSSL_PARAM, 2> params = {
      OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &length), OSSL_PARAM_construct_end()};
  if (mac_->context == nullptr ||
      RAND_bytes(mac_->key.data(), static_cast<int>(mac_->key.size())) != 1 ||
      EVP_MAC_CTX_set_params(mac_->context, params.data()) != 1) {
    throw Error("OpenSSL offers no SipHash or no randomness");
  }
}

PathSet::~PathSet() = default;

PathSet::Slot PathSet::hash(std::string_view path) const {
  std::array<unsigned char, 16> out{};
  std::size_t length = 0;
  // The key is given each time: that is what starts the next message in OpenSSL 3.0.
  if (EVP_MAC_init(mac_->context, mac_->key.data(), mac_->key.size(), nullptr) != 1 ||
      EVP_MAC_update(mac_->context, reinterpret_cast<const unsigned char*>(path.data()),
                     path.size()) != 1 ||
      EVP_MAC_final(mac_->context, out.data(), &length, out.size()) != 1 || length != out.size()) {
    throw Error("OpenSSL could not compute a SipHash");
  }
  Slot slot;
  std::memcpy(&slot.low, out.data(), 8);
  std::memcpy(&slot.high, out.data() + 8, 8);
  slot.high &= ~std::uint64_t{3};
  slot.low |= 1;  // never the empty slot
  return slot;
}

std::size_t PathSet::locate(const std::vector<Slot>& slots, const Slot& key) const {
  const std::size_t mask = slots.size() - 1;
  std::size_t at = (key.low >> 1) & mask;
  while (slots[at].low != 0 &&
         (slots[at].low != key.low || (slots[at].high & ~std::uint64_t{3}) != key.high)) {
    at = (at + 1) & mask;
  }
  return at;
}

std::optional<PathKind> PathSet::find(std::string_view path) const {
  const Slot& slot = slots_[locate(slots_, hash(path))];
  if (slot.low == 0) return std::nullopt;
  return static_cast<PathKind>(slot.high & 3);
}

void PathSet::put(std::string_view path, PathKind kind) {
  if (used_ * 4 >= slots_.size() * 3) grow();
  const Slot key = hash(path);
  Slot& slot = slots_[locate(slots_, key)];
  if (slot.low == 0) ++used_;
  slot = {key.low, key.high | static_cast<std::uint64_t>(kind)};
}

void PathSet::grow() {
  std::vector<Slot> larger(slots_.size() * 2);
  for (const Slot& slot : slots_) {
    if (slot.low == 0) continue;
    larger[locate(larger, {slot.low, slot.high & ~std::uint64_t{3}})] = slot;
  }
  slots_ = std::move(larger);
}

}  // namespace actool::cas
