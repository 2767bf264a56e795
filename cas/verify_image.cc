#include <fcntl.h>
#include <fmt/format.h>

#include <memory>
#include <vector>

#include "cas/aci_input.h"
#include "cas/care.h"
#include "cas/tree_care.h"
#include "cas/verified.h"
#include "core/base/error.h"
#include "core/base/fd.h"

namespace actool::cas {

namespace {

constexpr std::size_t kHashReadBytes = 1 << 20;

void checkDigest(const Path& blob, const Digest& expected, std::string_view what,
                 trust::VerifySession* session) {
  const UniqueFd fd = tryOpen(blob.string(), O_RDONLY);
  if (!fd) throw TrustError(fmt::format("{} is missing: {}", what, blob.string()));
  Hasher hasher(expected.algorithm());
  std::vector<std::byte> buffer(kHashReadBytes);
  while (const std::size_t got = readSome(fd.get(), buffer, blob.string())) {
    const auto bytes = std::span<const std::byte>(buffer).first(got);
    hasher.update(bytes);
    if (session != nullptr) session->update(bytes);
  }
  const Digest found = hasher.finish();
  if (found != expected) {
    throw TrustError(
        fmt::format("{} is damaged: {} has the digest {}", what, blob.string(), found.str()),
        "remove the image and fetch it again");
  }
}

}  // namespace

void verifyBlob(const StoreLayout& layout, const Digest& digest, std::string_view what) {
  checkDigest(layout.blob(digest), digest, what, nullptr);
}

void verifyTar(const StoreLayout& layout, const schema::ImageId& id) {
  const Path tar = layout.tarBlob(id);
  if (!actool::exists(tar)) {
    throw TrustError("the tar is missing: " + tar.string(), "remove the image and fetch it again");
  }
  // Before the bytes are read: a change while they are makes the stamp worthless, not false.
  const FileLook look = lookOf(tar);
  checkDigest(tar, id.tarDigest(), "the tar", nullptr);
  if (readAciManifest(tar) != readFile(layout.manifestFile(id), schema::kMaxManifestBytes)) {
    throw TrustError(
        fmt::format("{} is not the manifest in the tar", layout.manifestFile(id).string()),
        "remove the image and fetch it again");
  }
  stampTar(layout, id, look);
}

void verifyContent(const StoreLayout& layout, const schema::ImageId& id) {
  verifyTar(layout, id);
  verifyMetadata(layout, id);
  verifyRendered(layout, id);
  const StoreReader reader(layout);
  if (reader.mountable(id)) stampMetadata(layout, reader.linkedTree(id).value());
}

std::vector<trust::Signer> verifyDistributed(const StoreLayout& layout, const StoredImage& image,
                                             trust::SignatureVerifier& verifier) {
  std::unique_ptr<trust::VerifySession> session;
  if (image.signature) {
    const std::string signature =
        readFile(layout.signatureFile(image.id), trust::kMaxSignatureBytes);
    verifier.precheck(signature);
    session = verifier.begin(signature);
  }
  const Digest digest = image.distributedBlob();
  // The tar itself is somebody else's to hash.
  if (session || digest != image.id.tarDigest()) {
    checkDigest(layout.blob(digest), digest, "the file as distributed", session.get());
  }
  return session ? session->finish() : std::vector<trust::Signer>();
}

VerifyReport verifyImage(const StoreLayout& layout, const StoredImage& image,
                         const trust::Keystore& keystore, trust::SignatureVerifier& verifier) {
  verifyContent(layout, image.id);
  VerifyReport report;
  if (!image.distributed.kept) return report;
  const auto signers = verifyDistributed(layout, image, verifier);
  report.distributedChecked = true;
  if (image.signature) report.signature = trust::requireTrusted(keystore, image.name, signers);
  return report;
}

}  // namespace actool::cas
