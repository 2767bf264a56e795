#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <set>

#include "cas/bundle/bundle_commands.h"
#include "cas/bundle/import.h"
#include "cas/bundle/volume_source.h"
#include "cas/image_commands.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/cli/table.h"

namespace actool::cas {

namespace {

constexpr std::string_view kStdin = "-";

struct ImportOptions {
  std::vector<std::string> inputs;
  LimitOptions limits;
  std::optional<cli::Format> format;
};

// Directories stand for the volumes in them.
std::vector<std::string> volumesOf(const std::vector<std::string>& inputs) {
  std::vector<std::string> volumes;
  for (const auto& input : inputs) {
    if (input == kStdin) {
      if (::isatty(STDIN_FILENO) == 1) {
        throw UsageError("standard input is a terminal", "name a file, or pipe a volume in");
      }
      volumes.push_back(input);
      continue;
    }
    std::error_code error;
    const auto status = std::filesystem::status(input, error);
    if (!std::filesystem::exists(status)) {
      throw NotFoundError(fmt::format("no file {}", input));
    }
    if (!std::filesystem::is_directory(status)) {
      volumes.push_back(input);
      continue;
    }
    const std::size_t before = volumes.size();
    for (const auto& name : listDir(input)) {
      if (name.ends_with(".tar") && !name.starts_with('.')) {
        volumes.push_back((Path(input) / name).string());
      }
    }
    if (volumes.size() == before) {
      throw NotFoundError(fmt::format("no volume (*.tar) in {}", input));
    }
  }
  return volumes;
}

void addVolume(BundleImport& import, const std::string& volume) {
  if (volume == kStdin) {
    VolumeSource source(STDIN_FILENO);
    import.addVolume(source);
    return;
  }
  const UniqueFd fd = openFile(volume, O_RDONLY);
  VolumeSource source(fd.get());
  import.addVolume(source);
}

void print(const ImportOutcome& outcome, const ImportOptions& options) {
  const bool records = cli::effectiveFormat(options.format) == cli::Format::jsonl;
  std::set<schema::ImageId> printed;
  for (const auto& image : outcome.asked) {
    if (!printed.insert(image.id).second) continue;
    cli::print((records ? dumpLine(image.record().toJson()) : image.id.str()) + "\n");
  }
  if (!records) return;
  for (const auto& missing : outcome.missing)
    cli::print(dumpLine(missing.toJson()) + "\n");
}

// What was refused weighs more than what is missing: it won't come by waiting.
void fail(const std::vector<TrustError>& problems, const std::vector<MissingImage>& missing) {
  const bool one = problems.size() + missing.size() == 1;
  if (one && !missing.empty()) {
    throw NotFoundError(missing.front().describe());
  }
  for (const auto& image : missing)
    log::info("{}", image.describe());
  if (problems.size() == 1) throw problems.front();
  for (const auto& problem : problems)
    log::error("{}", problem.what());
  if (!problems.empty()) {
    throw TrustError(fmt::format("{} volumes or images were refused", problems.size()));
  }
  if (!missing.empty()) {
    throw NotFoundError(fmt::format("{} images are not complete", missing.size()),
                        "import the volumes that have the rest");
  }
}

int importBundle(const ImportOptions& options, const cli::Globals& globals) {
  const std::vector<std::string> volumes = volumesOf(options.inputs);
  const StoreLayout layout = storeOf(globals);
  const IngestLimits limits = effectiveLimits(globals.configDirs(), options.limits);
  const trust::Keystore keystore(globals.trustDirs());
  std::unique_ptr<trust::SignatureVerifier> verifier;
  if (!globals.insecure.image) verifier = trust::makeOpenPgpVerifier(keystore.list());
  createStore(layout);

  std::vector<TrustError> problems;
  BundleScratch scratch(layout, [] { log::info("waiting for another import into this store"); });
  const ImportDoor door{.layout = layout,
                        .keystore = keystore,
                        .verifier = verifier.get(),
                        .limits = limits,
                        .insecure = globals.insecure.image};
  BundleImport import(door, scratch,
                      {.onRefused = [&](const TrustError& error) { problems.push_back(error); },
                       .onStored =
                           [](const StoredImage& image) {
                             log::info("imported {} ({})", image.name.str(), image.id.shortForm());
                           }});
  if (volumes.empty()) import.addPending();
  for (const auto& volume : volumes) {
    try {
      addVolume(import, volume);
    } catch (TrustError& error) {
      error.addContext(volume == kStdin ? "standard input" : volume);
      problems.push_back(error);
    }
  }
  const ImportOutcome outcome = import.finish();
  print(outcome, options);
  fail(problems, outcome.missing);
  return 0;
}

}  // namespace

cli::Subcommand bundleImportSubcommand() {
  return {.name = "bundle import",
          .summary = "Verify the images of bundles and put them into the store",
          .details =
              "Takes volumes in any order and any number of times: files, - for standard input, or "
              "directories with *.tar in them. An image that is complete is checked against this "
              "side's own keys and stored, after those it depends on; pieces of others are kept "
              "for the next import, until 'actool image gc' finds them older than its grace "
              "period. Prints the records of the images that the bundle was made for and of those "
              "that are missing something.\n\n"
              "Exit code 0 when every image is in the store, 253 when a volume or an image was "
              "refused, 252 when something is missing. Without arguments it goes on with what "
              "earlier imports left, and says what that is.\n\n"
              "Example:\n    actool bundle import /media/usb",
          .setup = [](cli::Options& app, cli::Globals& globals) -> std::function<int()> {
            auto options = std::make_shared<ImportOptions>();
            app.add("volume", options->inputs, "volumes, or directories of them")
                .typeName("FILE|-|DIR...");
            app.add("--max-distributed-size", options->limits.distributedSize,
                    "limit on an image as distributed");
            app.add("--max-tar-size", options->limits.tarSize, "limit on the uncompressed tar");
            app.add("--max-inflate-ratio", options->limits.inflateRatio,
                    "limit on bytes of tar for each byte as distributed");
            app.add("--max-entries", options->limits.entries, "limit on entries of the tar");
            cli::addFormatOption(app, options->format, {cli::Format::jsonl, cli::Format::id});
            return [options, &globals] { return importBundle(*options, globals); };
          }};
}

}  // namespace actool::cas
