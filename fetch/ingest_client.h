// The door into the store, as a transport sees it (docs/ingest-protocol.md).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "core/base/fs.h"
#include "core/record/record.h"

namespace actool::fetch {

// What ingest is told of the bytes before the first one.
struct IngestRequest {
  std::optional<Path> signature = {};  // absent only with --insecure-options=image
  std::optional<schema::AppRef> requested =
      {};  // the manifest must match, the signer be trusted for it
  std::optional<schema::ImageId> imageId = {};
  std::optional<std::uint64_t> size = {};     // bytes as distributed
  std::optional<std::uint64_t> maxSize = {};  // bytes as distributed; the store's limit if absent
  std::string source = {};                    // URL or path, for the record
  // Called while another process ingests the same signature, with the bytes that it has.
  std::function<void(std::uint64_t)> onWaiting = {};

  // The options of `actool image ingest`, without --resume.
  std::vector<std::string> arguments() const;
};

// One image on its way in. Used by one thread. Ends by finish() or abandon(); one that is
// destroyed before was abandoned.
class IngestSession {
 public:
  virtual ~IngestSession() = default;
  // From where to send; or the image, when somebody else brought it in the meantime and there
  // is nothing to send.
  virtual const std::variant<std::uint64_t, record::Image>& opening() const = 0;
  // Blocks while ingest catches up. Throws what ingest ended with when it has refused the
  // bytes already.
  virtual void write(std::span<const std::byte> bytes) = 0;
  // The bytes are complete. The committed image, or ingest's refusal.
  virtual record::Image finish() = 0;
  // The transfer failed: what came stays in the store for the next time.
  virtual void abandon() = 0;
};

// Calls may come from several threads at once.
class IngestClient {
 public:
  virtual ~IngestClient() = default;
  // Blocks while another process ingests the same signature.
  virtual std::unique_ptr<IngestSession> begin(const IngestRequest& request) = 0;
  // A local file, read by ingest itself.
  virtual record::Image ingestFile(const IngestRequest& request, const Path& file) = 0;
};

// What another process has, when the line says that it is waited for.
std::optional<std::uint64_t> parseWaitingLine(std::string_view line);
// Any other line of ingest's standard output: the offset or the image. Throws Error on anything
// else.
std::variant<std::uint64_t, record::Image> parseIngestLine(std::string_view line);

}  // namespace actool::fetch
