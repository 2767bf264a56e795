// Bundles: the reader of volumes takes or refuses any bytes, in any steps, and hands on only pieces
// that are what their names say; lists, headers and requests that are taken read again as they
// are written.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <span>
#include <string>

#include "cas/aci_tar.h"
#include "cas/bundle/request.h"
#include "cas/bundle/volume_reader.h"
#include "core/base/error.h"
#include "tests/fuzz/archives.h"

namespace {

using actool::Digest;
using actool::DigestAlgorithm;
using actool::fuzz::Bytes;
using namespace actool::cas;

class Checker : public VolumeVisitor {
 public:
  void begin(const VolumeHeader& header, const ImageList& list,
             std::string_view imagesJson) override {
    if (begun_ || setOf(imagesJson) != header.set) std::abort();
    begun_ = true;
    for (const auto& image : list.images) {
      pieces_.insert(image.pieces.begin(), image.pieces.end());
      if (image.signature) pieces_.insert(image.signature->piece);
    }
  }
  bool wants(const Digest& piece, bool /*isSignature*/) override {
    if (!begun_ || !pieces_.contains(piece)) std::abort();
    return ++asked % 4 != 0;
  }
  void piece(const Digest& piece, std::span<const std::byte> bytes) override {
    actool::Hasher hasher(DigestAlgorithm::sha512);
    hasher.update(bytes);
    if (hasher.finish() != piece) std::abort();
    ++got;
  }
  bool operator==(const Checker& other) const { return asked == other.asked && got == other.got; }

  int asked = 0;
  int got = 0;

 private:
  bool begun_ = false;
  std::set<Digest> pieces_;
};

// A changed images.json under the name of its own digest.
void fixSet(std::string& bytes) {
  constexpr std::string_view kMember = "\"set\":\"sha512:";
  Bytes source(std::as_bytes(std::span(bytes)), 4096);
  TarReader reader(source);
  try {
    if (!reader.next()) return;
    const auto images = reader.next();
    if (!images || images->dataOffset + images->dataSize > bytes.size()) return;
    const std::string hex =
        setOf(std::string_view(bytes).substr(images->dataOffset, images->dataSize)).hex();
    const std::size_t at = bytes.find(kMember);
    if (at == bytes.npos || at + kMember.size() + hex.size() > images->dataOffset) return;
    bytes.replace(at + kMember.size(), hex.size(), hex);
  } catch (const actool::Error&) {
  }
}

Checker readAll(const std::string& bytes, std::size_t step) {
  Checker checker;
  Bytes source(std::as_bytes(std::span(bytes)), step);
  try {
    readVolume(source, checker);
  } catch (const actool::TrustError&) {
  }
  return checker;
}

void parseAll(const std::string& text) {
  try {
    const ImageList list = ImageList::parse(text);
    const std::string written = list.dump();
    if (ImageList::parse(written).dump() != written) std::abort();
    for (const auto& piece : list.pieces()) {
      const BundleImage& image = list.images.at(piece.image);
      if (piece.size == 0 || piece.size > kPieceBytes) std::abort();
      if (piece.offset + piece.size > image.size) std::abort();
      if (parsePiecePath(piecePath(piece.digest)) != piece.digest) std::abort();
    }
  } catch (const actool::Error&) {
  }
  try {
    const VolumeHeader header = VolumeHeader::parse(text);
    if (VolumeHeader::parse(header.dump()).starts != header.starts) std::abort();
    const std::uint64_t volume = header.volumeOf(text.size());
    if (volume == 0 || volume > header.starts.size()) std::abort();
  } catch (const actool::Error&) {
  }
  try {
    const std::string written = BundleRequest::parse(text, "request").dump();
    if (BundleRequest::parse(written, "request").dump() != written) std::abort();
  } catch (const actool::Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string bytes(data, data + size);
  if (bytes.starts_with('{')) {
    parseAll(bytes);
    return 0;
  }
  actool::fuzz::fixTarChecksums(std::as_writable_bytes(std::span(bytes)));
  fixSet(bytes);
  if (!(readAll(bytes, 1 << 20) == readAll(bytes, 100))) std::abort();
  return 0;
}
