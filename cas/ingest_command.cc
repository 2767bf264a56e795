#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <optional>

#include "cas/image_commands.h"
#include "cas/ingest.h"
#include "cas/interrupt.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/progress.h"
#include "core/base/strings.h"
#include "core/cli/table.h"
#include "core/schema/app_ref.h"

namespace actool::cas {

namespace {

struct IngestOptions {
  std::string signature;
  std::string requested;
  std::string imageId;
  std::string source;
  std::string via;
  std::string etag;
  std::optional<std::uint64_t> maxAge;
  std::optional<std::uint64_t> size;
  bool resume = false;
  bool staged = false;
  bool waitProgress = false;
  std::string file;
  LimitOptions limits;
  std::optional<cli::Format> format;
};

// Tool and transport, as the tool says, else as can be told from here.
std::string viaOf(const IngestOptions& options) {
  if (options.via.empty()) return options.file.empty() ? "actool-image:pipe" : "actool-image:file";
  constexpr std::size_t kMost = 64;
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyz0123456789+-.:";
  if (options.via.size() > kMost || options.via.find_first_not_of(kAllowed) != std::string::npos) {
    throw UsageError(fmt::format("--via: '{}' names no tool and transport", printable(options.via)),
                     "write it as actool-fetch:https");
  }
  return options.via;
}

IngestRequest makeRequest(const IngestOptions& options, const cli::Globals& globals) {
  IngestRequest request;
  request.insecure = globals.insecure.image;
  if (!options.signature.empty() && !request.insecure) {
    request.signature = readFile(options.signature, trust::kMaxSignatureBytes);
  }
  if (!options.requested.empty()) request.requested = schema::AppRef::parse(options.requested);
  if (!options.imageId.empty()) request.imageId = schema::ImageId::parse(options.imageId);
  request.source = options.source;
  request.via = viaOf(options);
  request.etag = options.etag;
  if (options.maxAge) request.maxAge = std::chrono::seconds(*options.maxAge);
  request.size = options.size;
  request.resume = options.resume;
  request.staged = options.staged;
  return request;
}

// What messages and progress call the image.
std::string subject(const IngestRequest& request) {
  if (request.requested) return request.requested->str();
  return request.source.empty() ? request.inputName : request.source;
}

IngestCallbacks makeCallbacks(const IngestOptions& options, const IngestRequest& request,
                              const std::shared_ptr<Progress>& progress) {
  IngestCallbacks callbacks;
  callbacks.onWaiting = [last = std::optional<std::uint64_t>(), &options, &request,
                         progress](std::uint64_t bytes) mutable {
    const bool first = !last;
    const bool news = last != bytes;
    last = bytes;
    if (options.resume) {
      if (options.waitProgress && news) {
        cli::print(dumpLine(Json{{"kind", "waiting"}, {"bytes", bytes}}) + "\n");
      }
      return;
    }
    if (first) {
      log::info("{}: waiting for another process that fetches the same image", subject(request));
    }
    if (options.waitProgress) progress->update(bytes, request.size);
  };
  callbacks.onOffset = [&options](std::uint64_t offset) {
    if (!options.resume) return;
    cli::print(dumpLine(Json{{"kind", "ingest"}, {"offset", offset}}) + "\n");
  };
  callbacks.onProgress = [&request, progress](std::uint64_t bytes) {
    progress->update(bytes, request.size);
  };
  return callbacks;
}

void printImage(const StoredImage& image, const IngestRequest& request,
                const IngestOptions& options) {
  const cli::Format format =
      options.resume ? cli::Format::jsonl : cli::effectiveFormat(options.format);
  if (format != cli::Format::jsonl) {
    cli::print(image.id.str() + "\n");
    return;
  }
  record::Image record = image.record();
  record.requested = request.requested;
  cli::print(dumpLine(record.toJson()) + "\n");
}

int ingest(const IngestOptions& options, const cli::Globals& globals) {
  IngestRequest request = makeRequest(options, globals);
  if (options.staged && !options.resume) throw UsageError("--staged goes with --resume");
  UniqueFd file;
  if (options.file.empty()) {
    request.input = STDIN_FILENO;
    request.inputName = "standard input";
    if (::isatty(STDIN_FILENO) == 1) {
      throw UsageError("standard input is a terminal", "give a FILE, or pipe an image in");
    }
  } else {
    if (options.resume) throw UsageError("--resume is for standard input, not for a file");
    file = tryOpen(options.file, O_RDONLY);
    if (!file) throw NotFoundError(fmt::format("no file {}", options.file));
    request.input = file.get();
    request.inputName = options.file;
    ::posix_fadvise(file.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
  }

  const StoreLayout layout = storeOf(globals);
  const IngestLimits limits = effectiveLimits(globals.configDirs(), options.limits);
  const trust::Keystore keystore(globals.trustDirs());
  std::unique_ptr<trust::SignatureVerifier> verifier;
  if (request.signature) verifier = trust::makeOpenPgpVerifier(keystore.list());
  // With --resume the transport at the other end of the pipe shows progress.
  const std::shared_ptr<Progress> progress =
      makeProgress(options.resume ? ProgressMode::none : globals.progress, subject(request));

  std::optional<StoredImage> image;
  {
    const InterruptGuard interrupt;
    request.interruptFd = interrupt.fd();
    try {
      image = withContext(subject(request), [&] {
        return Ingest(layout, keystore, verifier.get(), limits)
            .run(request, makeCallbacks(options, request, progress));
      });
    } catch (const Interrupted&) {
      // Told to stop is no error: leave as the signal would have it, but in order.
      verifier.reset();
      InterruptGuard::raiseAgain();
      throw;
    }
  }
  progress->finish();
  printImage(*image, request, options);
  return 0;
}

}  // namespace

cli::Subcommand ingestSubcommand() {
  return {
      .name = "image ingest",
      .summary = "Verify an image and put it into the store",
      .details =
          "Reads one image as distributed from FILE or standard input, checks its signature, its "
          "archive and its name in one pass, and commits it. Prints the image's record.\n\n"
          "What is refused leaves no trace; what is interrupted with --resume is continued by "
          "the next ingest with the same signature (docs/ingest-protocol.md).\n\n"
          "Example:\n"
          "    cat web.aci | actool image ingest --signature web.aci.asc",
      .setup = [](cli::Options& app, cli::Globals& globals) -> std::function<int()> {
        auto options = std::make_shared<IngestOptions>();
        app.add("--signature", options->signature, "armoured detached signature").typeName("FILE");
        app.add("--requested", options->requested, "name and labels that were asked for")
            .typeName("APPREF");
        app.add("--image-id", options->imageId, "image ID the result must have").typeName("ID");
        app.add("--source", options->source, "URL or path the bytes come from");
        app.add("--via", options->via, "tool and transport that bring them, as actool-fetch:https");
        app.add("--etag", options->etag, "ETag of the source");
        app.add("--max-age", options->maxAge, "seconds for which the source is fresh");
        app.add("--size", options->size, "bytes as distributed; others are refused");
        app.flag("--resume", options->resume, "speak the protocol of transports");
        app.flag("--staged", options->staged,
                 "standard input is a Unix socket; the bytes go into a file whose descriptor is "
                 "sent over it");
        app.flag("--wait-progress", options->waitProgress,
                 "show the progress of another ingest of the same image that is waited for; with "
                 "--resume as records");
        app.add("--max-distributed-size", options->limits.distributedSize,
                "limit on the file as distributed");
        app.add("--max-tar-size", options->limits.tarSize, "limit on the uncompressed tar");
        app.add("--max-inflate-ratio", options->limits.inflateRatio,
                "limit on bytes of tar for each byte as distributed");
        app.add("--max-entries", options->limits.entries, "limit on entries of the tar");
        app.add("file", options->file, "read from this file, not standard input").typeName("FILE");
        cli::addFormatOption(app, options->format, {cli::Format::jsonl, cli::Format::id});
        return [options, &globals] { return ingest(*options, globals); };
      }};
}

}  // namespace actool::cas
