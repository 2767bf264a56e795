// Tars: the checker takes or refuses any bytes, in any pieces, and what it takes says of itself
// what holds.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "cas/aci_acl.h"
#include "cas/aci_check.h"
#include "core/base/error.h"

namespace {

using actool::cas::AciLimits;
using actool::cas::AciSource;
using actool::cas::TarReader;

class Bytes : public AciSource {
 public:
  Bytes(std::span<const std::byte> bytes, std::size_t step) : bytes_(bytes), step_(step) {}
  std::span<const std::byte> next() override {
    const auto piece = bytes_.first(std::min(step_, bytes_.size()));
    bytes_ = bytes_.subspan(piece.size());
    return piece;
  }

 private:
  std::span<const std::byte> bytes_;
  std::size_t step_;
};

// Headers whose checksums are right, so that mutations get past them.
void fixChecksums(std::span<std::byte> bytes) {
  for (std::size_t at = 0; at + 512 <= bytes.size(); at += 512) {
    const auto block = bytes.subspan(at, 512);
    if (std::to_integer<char>(block[257]) != 'u') continue;
    unsigned sum = 8 * ' ';
    for (std::size_t i = 0; i < 512; ++i) {
      if (i < 148 || i >= 156) sum += std::to_integer<unsigned>(block[i]);
    }
    for (std::size_t i = 0; i < 6; ++i) {
      block[153 - i] = static_cast<std::byte>('0' + (sum & 7));
      sum >>= 3;
    }
    block[154] = std::byte{0};
    block[155] = std::byte{' '};
  }
}

bool passes(std::span<const std::byte> bytes, std::size_t step) {
  Bytes source(bytes, step);
  AciLimits limits;
  limits.entries = 1000;
  try {
    const auto summary = actool::cas::checkAci(source, limits);
    if (summary.tarBytes != bytes.size()) std::abort();
    return true;
  } catch (const actool::TrustError&) {
    return false;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::byte> bytes(size);
  std::transform(data, data + size, bytes.begin(), [](std::uint8_t b) { return std::byte{b}; });
  fixChecksums(bytes);

  const bool whole = passes(bytes, 1 << 20);
  if (passes(bytes, 100) != whole) std::abort();

  Bytes source(bytes, 4096);
  TarReader reader(source);
  try {
    while (const auto entry = reader.next()) {
      if (entry->path.empty() || entry->dataOffset > bytes.size()) std::abort();
      std::uint64_t at = 0;
      for (const auto& piece : entry->pieces) {
        if (piece.offset < at || piece.length == 0) std::abort();
        at = piece.offset + piece.length;
      }
      if (at > entry->size) std::abort();
      if (!entry->accessAcl.empty()) {
        try {
          actool::cas::aclAttribute(entry->accessAcl);
        } catch (const actool::Error&) {
        }
      }
    }
  } catch (const actool::TrustError&) {
    if (whole) std::abort();
  }
  return 0;
}
