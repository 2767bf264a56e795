// Tars: the checker takes or refuses any bytes, in any pieces, and what it takes says of itself
// what holds.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "cas/aci_acl.h"
#include "cas/aci_check.h"
#include "core/base/error.h"
#include "tests/fuzz/archives.h"

namespace {

using actool::cas::AciLimits;
using actool::cas::TarReader;
using actool::fuzz::Bytes;

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
  auto bytes = actool::fuzz::bytesOf(data, size);
  actool::fuzz::fixTarChecksums(bytes);

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
