// The door of the store: bytes of one image come in, are checked in one pass, and are committed
// or refused. docs/ingest-protocol.md says what callers see; pipeline.h what happens to the bytes.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "cas/ingest_slot.h"
#include "cas/layout.h"
#include "cas/limits.h"
#include "cas/pipeline.h"
#include "cas/store.h"
#include "cas/stored_image.h"
#include "core/schema/app_ref.h"
#include "core/schema/image_id.h"
#include "trust/keystore.h"
#include "trust/verifier.h"

namespace actool::cas {

struct IngestRequest {
  std::optional<std::string> signature;  // armoured; nothing only when `insecure`
  bool insecure = false;                 // --insecure-options=image: no signature is looked at
  std::optional<schema::AppRef> requested;
  std::optional<schema::ImageId> imageId;  // what the result must be
  std::string source;                      // URL or path; may be empty
  std::string via = "actool-image:pipe";   // tool and transport, for the record
  std::string etag;
  std::optional<std::chrono::seconds> maxAge;
  std::optional<std::uint64_t> size;
  bool resume = false;  // continue what an earlier one left, and keep what came
  // `input` is a Unix socket over which a descriptor is sent (staged_input.h).
  bool staged = false;
  int input = -1;
  std::string inputName;  // for messages
  int interruptFd = -1;
};

struct IngestCallbacks {
  // Another process fetches the same bytes and has so many of them. Called while waiting.
  std::function<void(std::uint64_t)> onWaiting;
  // The input has to start at this offset. Called once, unless the image is there already. Of
  // `staged` bytes: so many are said to be right at the beginning.
  std::function<void(std::uint64_t)> onOffset;
  std::function<void(std::uint64_t)> onProgress;
};

class Ingest {
 public:
  // `verifier` may be null when the request is insecure. All have to outlive this object.
  Ingest(const StoreLayout& layout, const trust::Keystore& keystore,
         trust::SignatureVerifier* verifier, const IngestLimits& limits)
      : layout_(layout), keystore_(keystore), verifier_(verifier), limits_(limits) {}

  // The committed image. TrustError for anything wrong with signature, key, name or bytes;
  // Interrupted (pipeline.h) when the transfer was given up.
  StoredImage run(const IngestRequest& request, const IngestCallbacks& callbacks) const;

 private:
  StoredImage admit(const IngestRequest& request, const IngestCallbacks& callbacks) const;
  // The image whose bytes the store has already, by whichever namespace they came; nothing when it
  // has none with this signature.
  std::optional<StoredImage> reuse(const IngestRequest& request) const;
  // The decision about bytes of the store that are to be let in here too; nothing when they are
  // not what they were.
  std::optional<trust::TrustDecision> recheck(const IngestRequest& request,
                                              const StoredImage& image) const;
  // Lets in what another namespace has.
  std::optional<StoredImage> share(const IngestRequest& request, const NamespacedImage& found,
                                   const trust::TrustDecision& decision) const;
  StoredImage receive(const IngestRequest& request, const IngestCallbacks& callbacks,
                      const IngestSlot& slot, std::uint64_t resumed) const;
  PipelineJob jobOf(const IngestRequest& request, const IngestCallbacks& callbacks,
                    const IngestSlot& slot, trust::VerifySession* session) const;
  PipelineResult pipelineOf(const IngestRequest& request, const IngestCallbacks& callbacks,
                            const IngestSlot& slot, std::uint64_t resumed) const;
  PipelineResult settledPipeline(PipelineJob job, const IngestSlot& slot, std::uint64_t size) const;
  PipelineResult stagedPipeline(const IngestRequest& request, const IngestCallbacks& callbacks,
                                const IngestSlot& slot) const;
  std::unique_ptr<trust::VerifySession> begin(const IngestRequest& request) const;
  StoredImage commit(const IngestRequest& request, const PipelineResult& result,
                     const std::optional<trust::TrustDecision>& decision,
                     const IngestSlot& slot) const;

  const StoreLayout& layout_;
  const trust::Keystore& keystore_;
  trust::SignatureVerifier* verifier_;
  const IngestLimits& limits_;
};

}  // namespace actool::cas
