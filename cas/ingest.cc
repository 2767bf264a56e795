#include "cas/ingest.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <utility>

#include "cas/audit_events.h"
#include "cas/fsck_image.h"
#include "cas/inflate.h"
#include "cas/person.h"
#include "cas/render_store.h"
#include "cas/staged_input.h"
#include "cas/verified.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/strings.h"
#include "trust/starting_session.h"

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

// How bytes came that were in the store already.
std::string viaStore(const std::string& via) {
  return via.substr(0, via.find(':')) + ":store";
}

// What is asked for now, and why it is let in, by `decision` if there is one.
void noteRequest(const IngestRequest& request, const std::string& via,
                 const std::optional<trust::TrustDecision>& decision, StoredImage& image) {
  const auto now = systemClock().now();
  Import note{.at = preciseTime(now), .by = thisPerson(), .via = via, .source = request.source};
  if (request.requested) note.requested = request.requested->str();
  if (decision) {
    note.fingerprint = decision->signer.fingerprint;
    note.trustRule = decision->key.rule.str();
    note.keyFile = decision->key.path.string();
  }
  image.noteImport(std::move(note));
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
                       .trustRule = decision.key.rule.str(),
                       .keyFile = decision.key.path.string()};
}

// An image that was here already.
void update(StoreWriter& writer, const StoredImage& image,
            const std::optional<std::string>& signature = std::nullopt) {
  if (signature) {
    writer.update(image, *signature);
  } else {
    writer.update(image);
  }
  audit(writer.layout(), kImageTool, {importEvent(image, "known")}, AuditSync::yes);
}

bool isFile(int fd) {
  struct stat info {};
  return ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
}

// What was hashed is what has this name now, for every namespace that has the image.
void stampTarOfAll(const StoreWriter& writer, const schema::ImageId& id) {
  for (const auto& ns : writer.namespaces()) {
    const StoreReader reader(writer.layout().in(ns));
    if (reader.has(id)) stampTar(reader.layout(), id, lookOf(reader.layout().tarBlob(id)));
  }
}

// Until the last bytes are here the transport's work comes before ours: whoever waits for a packet
// is not kept waiting by hashing, which has time. The threads and gpg that are begun have it so
// too.
void yieldToTransport() {
  const sched_param none{};
  if (::sched_setscheduler(0, SCHED_BATCH, &none) != 0) log::debug("{}", "no SCHED_BATCH");
}

}  // namespace

StoredImage Ingest::run(const IngestRequest& request, const IngestCallbacks& callbacks) const {
  try {
    return admit(request, callbacks);
  } catch (const EarlyEndError&) {
    throw;  // of bytes that did not all come nothing was said
  } catch (const TrustError& error) {
    Json details = {{"why", auditText(error.what())}, {"via", auditText(request.via)}};
    if (request.requested) details["requested"] = auditText(request.requested->str());
    if (!request.source.empty()) details["source"] = auditSource(request.source);
    audit(layout_, kImageTool, {{kAuditRefuse, std::move(details)}}, AuditSync::yes);
    throw;
  }
}

StoredImage Ingest::admit(const IngestRequest& request, const IngestCallbacks& callbacks) const {
  if (!request.signature && !request.insecure) {
    throw TrustError("there is no signature",
                     "give one with --signature, or allow any bytes with --insecure-options=image");
  }
  createStore(layout_);
  const bool verified = request.signature && !request.insecure;
  // A signature by nobody we know is refused before a byte of the image comes; of a swarm, whose
  // beginning takes about as long as this, before many do. A file is here already.
  if (verified && !request.staged && !isFile(request.input)) {
    verifier_->precheck(*request.signature);
  }

  const std::string key =
      verified ? slotKeyOf(digestOf(DigestAlgorithm::sha256, *request.signature)) : uniqueSlotKey();
  const IngestSlot slot =
      IngestSlot::acquire(layout_, key, request.interruptFd, callbacks.onWaiting);
  const bool keepable = request.resume && verified;
  StoredImage image = SlotKeeper(slot, keepable).run([&] {
    if (verified) {
      if (auto known = reuse(request)) return std::move(*known);
    }
    if (!request.staged) slot.endStaged();
    return receive(request, callbacks, slot, keepable ? slot.dataSize() : 0);
  });
  makeMountable(layout_, image.id);
  return image;
}

// The signature names the bytes: where the store has an image with this very signature, and the
// file it is over, there is nothing to fetch. Trust is asked for anew: keys expire, and what
// another namespace trusts is not ours to rely on. Of its image nothing is told before our own keys
// and the bytes have agreed; to know an image ID is no way in.
std::optional<StoredImage> Ingest::reuse(const IngestRequest& request) const {
  const Digest digest = digestOf(DigestAlgorithm::sha256, *request.signature);
  for (const auto& found : StoreView(layout_).bySignatureAnywhere(digest)) {
    const auto decision = recheck(request, found.image);
    if (!decision) continue;
    if (found.ns != layout_.ns()) {
      if (auto image = share(request, found, *decision)) return image;
      continue;
    }
    StoreWriter writer(layout_);
    auto image = writer.catalog().find(found.image.id);
    if (!image) continue;  // removed meanwhile
    image->signature = signatureInfo(*request.signature, *decision);
    noteRequest(request, viaStore(request.via), decision, *image);
    update(writer, *image);
    return image;
  }
  return std::nullopt;
}

std::optional<trust::TrustDecision> Ingest::recheck(const IngestRequest& request,
                                                    const StoredImage& image) const {
  if (!image.distributed.kept) return std::nullopt;
  const Digest digest = image.distributedBlob();
  const Path blob = layout_.blob(digest);
  const UniqueFd fd = tryOpen(blob.string(), O_RDONLY);
  if (!fd) return std::nullopt;
  const auto session = verifier_->begin(*request.signature);
  Hasher hasher(digest.algorithm());
  std::vector<std::byte> buffer(kReadBytes);
  while (const std::size_t got = readSome(fd.get(), buffer, blob.string())) {
    const auto bytes = std::span<const std::byte>(buffer).first(got);
    session->update(bytes);
    hasher.update(bytes);
  }
  if (hasher.finish() != digest) {
    log::warn("{} is damaged: the image is fetched anew", blob.string());
    return std::nullopt;
  }
  const trust::TrustDecision decision =
      trust::requireTrusted(keystore_, trustedName(request, image.name), session->finish());
  checkRequested(request, image.id, image.name, image.labels);
  if (request.size && *request.size != image.distributed.size) {
    throw TrustError(fmt::format("there are {} bytes instead of the {} that were announced",
                                 image.distributed.size, *request.size));
  }
  return decision;
}

std::optional<StoredImage> Ingest::share(const IngestRequest& request, const NamespacedImage& found,
                                         const trust::TrustDecision& decision) const {
  const StoreReader from(layout_.in(found.ns));
  const schema::ImageId& id = found.image.id;
  StoreWriter writer(layout_);
  StoredImage image = found.image;
  try {
    // Under the lock: it may have been removed or broken since it was found.
    image = readAgreeing(from, id);
  } catch (const Error& error) {
    log::debug("{}", error.what());
    return std::nullopt;
  }
  // Of the bytes. All else that is known there is none of our business.
  image.imported = preciseTime(systemClock().now());
  image.signature = signatureInfo(*request.signature, decision);
  image.requested.clear();
  image.sources.clear();
  image.imports.clear();
  const auto known = writer.catalog().find(id);
  if (known) {
    image.imported = known->imported;
    image.requested = known->requested;
    image.sources = known->sources;
    image.imports = known->imports;
  }
  noteRequest(request, viaStore(request.via), decision, image);
  if (known) {
    update(writer, image, request.signature);
  } else {
    writer.publish(image, from.manifestBytes(id), request.signature, "shared");
  }
  copyTarStamp(from.layout(), layout_, id);
  return image;
}

// All but the file that the bytes go to.
PipelineJob Ingest::jobOf(const IngestRequest& request, const IngestCallbacks& callbacks,
                          const IngestSlot& slot, trust::VerifySession* session) const {
  return {.input = request.input,
          .inputName = request.inputName,
          .data = -1,
          .dataName = slot.data().string(),
          .resumed = 0,
          .tar = slot.tar(),
          .session = session,
          .size = request.size,
          .limits = limits_,
          .interruptFd = request.interruptFd,
          .onProgress = callbacks.onProgress};
}

// Nothing for bytes that nobody needs to have signed.
std::unique_ptr<trust::VerifySession> Ingest::begin(const IngestRequest& request) const {
  if (!request.signature || request.insecure) return nullptr;
  const auto start = [this, &request] {
    verifier_->precheck(*request.signature);
    return verifier_->begin(*request.signature);
  };
  if (request.staged) return start();
  if (isFile(request.input)) return std::make_unique<trust::StartingSession>(start);
  return verifier_->begin(*request.signature);
}

PipelineResult Ingest::pipelineOf(const IngestRequest& request, const IngestCallbacks& callbacks,
                                  const IngestSlot& slot, std::uint64_t resumed) const {
  const std::unique_ptr<trust::VerifySession> session = begin(request);
  const int truncate = resumed == 0 ? O_TRUNC : 0;
  const UniqueFd data = openFile(slot.data().string(), O_RDWR | O_CREAT | truncate, 0644);
  callbacks.onOffset(resumed);
  PipelineJob job = jobOf(request, callbacks, slot, session.get());
  job.data = data.get();
  job.resumed = resumed;
  return runPipeline(job);
}

// The bytes come into the file behind the back of the pipeline, which follows them: most of what is
// to be done for them is done when the last ones come.
PipelineResult Ingest::stagedPipeline(const IngestRequest& request,
                                      const IngestCallbacks& callbacks,
                                      const IngestSlot& slot) const {
  yieldToTransport();
  slot.beginStaged();
  callbacks.onOffset(0);
  offerStaged(request.input, slot.staged());
  const UniqueFd staged = openFile(slot.staged().string(), O_RDONLY);
  StagedArrivals arrivals(request.input, request.interruptFd, staged.get(), slot.staged().string(),
                          [&](std::uint64_t bytes) { slot.notePrefix(bytes); });
  // The transport is at work already while the verifier starts.
  std::unique_ptr<trust::VerifySession> session = begin(request);
  PipelineJob job = jobOf(request, callbacks, slot, session.get());
  job.input = staged.get();
  job.inputName = slot.staged().string();
  job.data = staged.get();
  job.dataName = job.inputName;
  if (request.size) {
    job.arrivals = &arrivals;
    job.resumed = *request.size;
    try {
      PipelineResult result = runPipeline(job);
      std::filesystem::rename(slot.staged(), slot.data());
      return result;
    } catch (const UnsettledError& error) {
      log::debug("{}", error.what());
    }
    session = begin(request);
    job.session = session.get();
    job.arrivals = nullptr;
  }
  return settledPipeline(job, slot, arrivals.finish());
}

// All of it is there. A transport that could still write would change bytes after they were
// verified: in that case what is verified is a copy.
PipelineResult Ingest::settledPipeline(PipelineJob job, const IngestSlot& slot,
                                       std::uint64_t size) const {
  if (::lseek(job.input, 0, SEEK_SET) < 0) throwErrno("positioning " + job.inputName);
  if (hasNoWriter(job.input)) {
    job.resumed = size;
    PipelineResult result = runPipeline(job);
    std::filesystem::rename(slot.staged(), slot.data());
    return result;
  }
  log::debug("{} may still be written to: it is copied", job.inputName);
  const UniqueFd copy = openFile(slot.data().string(), O_RDWR | O_CREAT | O_TRUNC, 0644);
  job.data = copy.get();
  job.dataName = slot.data().string();
  job.resumed = 0;
  return runPipeline(job);
}

StoredImage Ingest::receive(const IngestRequest& request, const IngestCallbacks& callbacks,
                            const IngestSlot& slot, std::uint64_t resumed) const {
  const PipelineResult result = request.staged ? stagedPipeline(request, callbacks, slot)
                                               : pipelineOf(request, callbacks, slot, resumed);
  std::optional<trust::TrustDecision> decision;
  const schema::ImageManifest& manifest = result.summary.manifest;
  if (request.signature && !request.insecure) {
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
  const auto placeBlobs = [&] {
    if (wrapped) writer.addBlob(slot.data(), image.distributed.digest);
    writer.addBlob(wrapped ? slot.tar() : slot.data(), image.id.tarDigest());
  };
  auto known = writer.catalog().find(image.id);
  if (known) {
    // The same tar came before, perhaps wrapped otherwise or unsigned. The better
    // provenance stays; its file as distributed comes with it.
    const bool better =
        (image.signature && !known->signature) ||
        (!known->distributed.kept && image.signature.has_value() == known->signature.has_value());
    if (!better) {
      // The same file came again as it did not pass when it was read (recheck()): this heals it.
      if (known->distributed.kept && known->distributed.digest == image.distributed.digest) {
        placeBlobs();
        stampTarOfAll(writer, image.id);
      }
      noteRequest(request, request.via, decision, *known);
      update(writer, *known);
      return std::move(*known);
    }
    image.imported = known->imported;
    image.requested = known->requested;
    image.sources = known->sources;
    image.imports = known->imports;
  }
  noteRequest(request, request.via, decision, image);
  placeBlobs();
  if (!known) {
    writer.publish(image, result.summary.manifestBytes, signature);
  } else {
    update(writer, image, signature);
  }
  stampTarOfAll(writer, image.id);
  return image;
}

}  // namespace actool::cas
