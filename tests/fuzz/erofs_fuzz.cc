// EROFS metadata. An input that begins with 'i' is an image: the check takes or refuses any bytes.
// Any other is a tar behind its first byte: what passes as an image of ours makes metadata that
// passes its check, or none.
#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <vector>

#include "cas/aci_check.h"
#include "cas/aci_file_source.h"
#include "cas/erofs/check.h"
#include "cas/erofs/format.h"
#include "cas/erofs/write.h"
#include "core/base/error.h"
#include "tests/fuzz/archives.h"

namespace {

using actool::UniqueFd;
using namespace actool::cas;  // NOLINT(google-build-using-namespace)

void checkImage(std::span<std::byte> bytes) {
  // With the right checksum, so that mutations get past it.
  if (bytes.size() >= erofs::kSuperOffset + erofs::kBlock) {
    const auto block = bytes.subspan(erofs::kSuperOffset, erofs::kBlock);
    const erofs::U32 sum(erofs::superBlockChecksum(block));
    std::memcpy(block.data() + offsetof(erofs::SuperBlock, checksum), &sum, sizeof sum);
  }
  const std::vector<std::uint64_t> sizes = {1 << 20};
  for (std::size_t devices = 0; devices <= sizes.size(); ++devices) {
    try {
      checkErofs(std::span<const std::byte>(bytes), std::span(sizes).first(devices));
    } catch (const actool::TrustError&) {
    }
  }
}

void makeImage(std::span<std::byte> bytes) {
  actool::fuzz::fixTarChecksums(bytes);
  const UniqueFd tar = actool::fuzz::fileOf(bytes);
  AciLimits limits;
  limits.entries = 1000;
  try {
    FileTarSource source(tar.get(), "tar");
    checkAci(source, limits);
  } catch (const actool::TrustError&) {
    return;
  }
  // Twice, as two layers and two devices.
  const auto id = actool::schema::ImageId::parse("sha512-" + std::string(128, 'a'));
  RenderTree tree;
  tree.addLayer(tar.get(), RenderLayer{id, "tar", {}});
  tree.addLayer(tar.get(), RenderLayer{id, "tar", {}});
  tree.prune();
  const UniqueFd image(memfd_create("image", MFD_CLOEXEC));
  const std::vector<ErofsDevice> devices(2, {"tar", bytes.size(), tar.get()});
  try {
    writeErofs(tree, devices, {0, 1}, image.get(), {.bytes = 1 << 20});
  } catch (const actool::Error&) {
    return;  // what EROFS can't hold
  }
  const std::vector<std::uint64_t> sizes(2, bytes.size());
  try {
    checkErofs(image.get(), sizes);
  } catch (const actool::Error&) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  auto bytes = actool::fuzz::bytesOf(data + 1, size - 1);
  if (data[0] == 'i') {
    checkImage(bytes);
  } else {
    makeImage(bytes);
  }
  return 0;
}
