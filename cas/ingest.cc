#include "cas/ingest.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <utility>

#include "cas/inflate.h"
#include "cas/render_store.h"
#include "cas/verified.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/strings.h"

namespace actool::cas {

namespace {

constexpr std::size_t kReadBytes = 256 << 10;
// An import stays within its memory: larger trees are made when they are first needed.
constexpr std::size_t kMostInodesAtOnce = 50'000;

// The name that the signer must be trusted for.
const schema::AcIdentifier& trustedName(const IngestRequest& request,
                                        const schema::AcIdentifier& manifestName) {
  return request.requested ? request.requested->name() : manifestName;
}

void checkRequested(const IngestRequest& request, const schema::ImageId& id,
                    const schema::AcIdentifier& name, const schema::Labels& labels) {
  if (request.imageId && *request.imageId != id) {
    throw TrustError(
        fmt::format("the image is {}, but {} was asked for", id.str(), request.imageId->str()));
  }
  if (!request.requested) return;
  const schema::AppRef& ref = *request.requested;
  if (ref.name() != name) {
    throw TrustError(
        fmt::format("the manifest names {}, but {} was asked for", name.str(), ref.name().str()));
  }
  if (const auto wrong = ref.labels().firstMismatch(labels)) {
    const auto has = labels.get(wrong->name.str());
    throw TrustError(
        fmt::format("the manifest has {}, but '{}' was asked for",
                    has ? fmt::format("label {} '{}'", wrong->name.str(), printable(*has))
                        : fmt::format("no label {}", wrong->name.str()),
                    printable(wrong->value)));
  }
}

void noteRequest(const IngestRequest& request, StoredImage& image) {
  const auto now = systemClock().now();
  if (request.requested) image.noteRequested({*request.requested, preciseTime(now)});
  if (!request.source.empty()) {
    image.noteSource({request.source, request.etag,
                      request.maxAge ? preciseTime(now + *request.maxAge) : std::string(),
                      preciseTime(now)});
  }
}

// What refuses the image removes its bytes; what merely stops the transfer keeps them for the
// next one, where there can be one.
class SlotKeeper {
 public:
  SlotKeeper(const IngestSlot& slot, bool keepable) : slot_(slot), keepable_(keepable) {}

  template <typename Fn>
  auto run(Fn&& fn) -> decltype(fn()) {
    try {
      auto result = std::forward<Fn>(fn)();
      slot_.remove();
      return result;
    } catch (const EarlyEndError&) {
      leave();
      throw;
    } catch (const TrustError&) {
      slot_.remove();
      throw;
    } catch (const Error&) {
      leave();
      throw;
    }
  }

 private:
  void leave() const {
    if (keepable_) {
      slot_.dropTar();
    } else {
      slot_.remove();
    }
  }

  const IngestSlot& slot_;
  bool keepable_;
};

// So that the first run has nothing to make. An image that can't be mounted, or whose
// dependencies are yet to come, is an image all the same.
void makeMountable(const StoreLayout& layout, const schema::ImageId& id) {
  try {
    if (!StoreReader(layout).mountable(id)) makeErofsInStore(layout, id, kMostInodesAtOnce);
  } catch (const Error& error) {
    log::debug("{} can't be mounted from its tar: {}", id.shortForm(), error.what());
  }
}

SignatureInfo signatureInfo(const std::string& signature, const trust::TrustDecision& decision) {
  return SignatureInfo{.digest = digestOf(DigestAlgorithm::sha256, signature),
                       .fingerprint = decision.signer.fingerprint,
                       .signingFingerprint = decision.signer.signingFingerprint,
                       .userId = decision.signer.userId,
                       .created = decision.signer.created,
                       .trustRule = decision.key.rule.str()};
}

}  // namespace

StoredImage Ingest::run(const IngestRequest& request, const IngestCallbacks& callbacks) const {
  if (!request.signature && !request.insecure) {
    throw TrustError("there is no signature",
                     "give one with --signature, or allow any bytes with --insecure-options=image");
  }
  createStore(layout_);
  const bool verified = request.signature && !request.insecure;
  // A signature by nobody we know is refused before a byte of the image comes.
  if (verified) verifier_->precheck(*request.signature);

  const std::string key =
      verified ? slotKeyOf(digestOf(DigestAlgorithm::sha256, *request.signature)) : uniqueSlotKey();
  const IngestSlot slot =
      IngestSlot::acquire(layout_, key, request.interruptFd, callbacks.onWaiting);
  const bool keepable = request.resume && verified;
  StoredImage image = SlotKeeper(slot, keepable).run([&] {
    if (verified) {
      if (auto known = reuse(request)) return std::move(*known);
    }
    return receive(request, callbacks, slot, keepable ? slot.dataSize() : 0);
  });
  makeMountable(layout_, image.id);
  return image;
}

// The signature names the bytes: where the store has an image with this very signature, and the
// file it is over, there is nothing to fetch. Trust is asked for anew, as keys expire.
std::optional<StoredImage> Ingest::reuse(const IngestRequest& request) const {
  const Digest digest = digestOf(DigestAlgorithm::sha256, *request.signature);
  auto image = StoreView(layout_).catalog().bySignature(digest);
  if (!image || !image->distributed.kept) return std::nullopt;
  const Path blob = layout_.blob(image->distributedBlob());
  const UniqueFd fd = tryOpen(blob.string(), O_RDONLY);
  if (!fd) return std::nullopt;
  const auto session = verifier_->begin(*request.signature);
  std::vector<std::byte> buffer(kReadBytes);
  while (const std::size_t got = readSome(fd.get(), buffer, blob.string())) {
    session->update(std::span(buffer).first(got));
  }
  const trust::TrustDecision decision =
      trust::requireTrusted(keystore_, trustedName(request, image->name), session->finish());
  checkRequested(request, image->id, image->name, image->labels);

  StoreWriter writer(layout_);
  image = writer.catalog().find(image->id);
  if (!image) return std::nullopt;  // removed meanwhile
  image->signature = signatureInfo(*request.signature, decision);
  noteRequest(request, *image);
  writer.update(*image);
  return image;
}

StoredImage Ingest::receive(const IngestRequest& request, const IngestCallbacks& callbacks,
                            const IngestSlot& slot, std::uint64_t resumed) const {
  const int truncate = resumed == 0 ? O_TRUNC : 0;
  const UniqueFd data = openFile(slot.data().string(), O_RDWR | O_CREAT | truncate, 0644);
  callbacks.onOffset(resumed);

  std::unique_ptr<trust::VerifySession> session;
  if (request.signature && !request.insecure) session = verifier_->begin(*request.signature);
  const PipelineResult result = runPipeline(PipelineJob{.input = request.input,
                                                        .inputName = request.inputName,
                                                        .data = data.get(),
                                                        .dataName = slot.data().string(),
                                                        .resumed = resumed,
                                                        .tar = slot.tar(),
                                                        .session = session.get(),
                                                        .size = request.size,
                                                        .limits = limits_,
                                                        .interruptFd = request.interruptFd,
                                                        .onProgress = callbacks.onProgress});
  std::optional<trust::TrustDecision> decision;
  const schema::ImageManifest& manifest = result.summary.manifest;
  if (session) {
    decision =
        trust::requireTrusted(keystore_, trustedName(request, manifest.name), result.signers);
  }
  checkRequested(request, schema::ImageId::fromTarDigest(result.tar), manifest.name,
                 manifest.labels);
  return commit(request, result, decision, slot);
}

// Everything is checked and on disk; what follows only gives it names.
StoredImage Ingest::commit(const IngestRequest& request, const PipelineResult& result,
                           const std::optional<trust::TrustDecision>& decision,
                           const IngestSlot& slot) const {
  const bool wrapped = result.encoding != Encoding::none;
  StoredImage image{.id = schema::ImageId::fromTarDigest(result.tar),
                    .name = result.summary.manifest.name,
                    .labels = result.summary.manifest.labels,
                    .tarSize = result.summary.tarBytes,
                    .distributed = {.digest = result.distributed,
                                    .size = result.distributedSize,
                                    .encoding = result.encoding,
                                    .kept = true},
                    .imported = preciseTime(systemClock().now()),
                    .signature = std::nullopt,
                    .requested = {},
                    .sources = {}};
  std::optional<std::string> signature;
  if (decision) {
    signature = request.signature;
    image.signature = signatureInfo(*signature, *decision);
  }

  StoreWriter writer(layout_);
  auto known = writer.catalog().find(image.id);
  if (known) {
    // The same tar came before, perhaps wrapped otherwise or unsigned. The better
    // provenance stays; its file as distributed comes with it.
    const bool better =
        (image.signature && !known->signature) ||
        (!known->distributed.kept && image.signature.has_value() == known->signature.has_value());
    if (!better) {
      noteRequest(request, *known);
      writer.update(*known);
      return std::move(*known);
    }
    image.imported = known->imported;
    image.requested = known->requested;
    image.sources = known->sources;
  }
  noteRequest(request, image);
  if (wrapped) writer.addBlob(slot.data(), image.distributed.digest);
  writer.addBlob(wrapped ? slot.tar() : slot.data(), image.id.tarDigest());
  if (!known) {
    writer.publish(image, result.summary.manifestBytes, signature);
  } else if (signature) {
    writer.update(image, *signature);
  } else {
    writer.update(image);
  }
  // What was hashed is what has this name now.
  stampTar(layout_, image.id, lookOf(layout_.tarBlob(image.id)));
  return image;
}

}  // namespace actool::cas
