#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>

#include "cas/bundle/bundle_commands.h"
#include "cas/bundle/export_plan.h"
#include "cas/bundle/scratch.h"
#include "cas/bundle/volume_file.h"
#include "cas/image_commands.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/strings.h"
#include "core/cli/table.h"

namespace actool::cas {

namespace {

struct BundleExportOptions {
  std::vector<std::string> images;
  std::string output;
  std::string split;
  std::string request;
  bool overwrite = false;
};

struct WantOptions {
  std::vector<std::string> images;
  std::string output = "-";
};

// Nothing when there is none.
std::optional<struct stat> look(const Path& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0) return info;
  if (errno != ENOENT) throwErrno("looking at " + path.string());
  return std::nullopt;
}

bool isDirectory(const std::string& output) {
  if (output.ends_with('/')) return true;
  const auto info = look(output);
  return info && S_ISDIR(info->st_mode);
}

ExportRequest makeRequest(const BundleExportOptions& options) {
  ExportRequest request{.images = options.images, .other = std::nullopt, .split = std::nullopt};
  if (!options.request.empty()) {
    request.other =
        BundleRequest::parse(readFile(options.request, kMaxRequestBytes), options.request);
  }
  if (request.images.empty() && (!request.other || request.other->want.empty())) {
    throw UsageError("which images?", "name some, or give a request that does with --for");
  }
  if (options.split.empty()) return request;
  request.split = parseByteSize(options.split);
  if (!request.split || *request.split < kMinSplit) {
    throw UsageError(fmt::format("--split: '{}' is no size of at least {}",
                                 printable(options.split), formatByteSize(kMinSplit)),
                     "write \"4GB\"");
  }
  if (!isDirectory(options.output)) {
    throw UsageError("--split makes several files", "give an existing directory, or DIR/");
  }
  return request;
}

void sayWhatIsIn(const BundlePlan& plan) {
  for (const auto& image : plan.list.images) {
    if (image.signature) continue;
    log::warn("{} was never signed: it can be imported with --insecure-options=image only",
              image.describe());
  }
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < plan.pieces.size(); ++i)
    bytes += plan.leftOut[i] ? 0 : plan.pieces[i].size;
  log::info("{} images, {}, in {} volume{}; {} images are there already", plan.list.images.size(),
            formatByteSize(bytes), plan.volumes(), plan.volumes() == 1 ? "" : "s",
            plan.list.assumed.size());
}

// "bundle-3f2c4e9a01bc-02-of-11.tar"
std::string volumeName(const BundlePlan& plan, std::size_t volume) {
  const std::size_t width = std::to_string(plan.volumes()).size();
  return fmt::format("bundle-{}-{:0{}}-of-{}.tar", plan.set.hex().substr(0, 12), volume + 1, width,
                     plan.volumes());
}

// Whether `path` is the volume already: what an export that was killed had finished. A volume is
// there whole or not at all, and its head names every byte of the rest.
bool isWrittenAlready(const BundlePlan& plan, std::size_t volume, const Path& path) {
  const std::string head = volumeHead(plan, volume);
  const UniqueFd fd = openFile(path.string(), O_RDONLY);
  std::string found(head.size(), '\0');
  const std::size_t got =
      readFull(fd.get(), std::as_writable_bytes(std::span(found)), path.string());
  return got == head.size() && found == head &&
         std::filesystem::file_size(path) == volumeSize(plan, volume);
}

void writeTo(const BundlePlan& plan, std::size_t volume, const Path& path, bool overwrite) {
  const auto info = look(path);
  if (info && !S_ISREG(info->st_mode)) {
    // A tape, a named pipe.
    const UniqueFd fd = openFile(path.string(), O_WRONLY);
    FdSink sink(fd.get(), path.string());
    writeVolume(plan, volume, sink);
    return;
  }
  if (info && !overwrite) {
    if (isWrittenAlready(plan, volume, path)) {
      log::info("{} is there already", path.string());
      return;
    }
    throw Error(fmt::format("{} exists", path.string()), "use --overwrite to replace it");
  }
  VolumeFile file(path);
  writeVolume(plan, volume, file);
  file.commit();
}

int exportBundle(const BundleExportOptions& options, const cli::Globals& globals) {
  if (options.output == "-" && ::isatty(STDOUT_FILENO) == 1) {
    throw UsageError("a bundle is not for a terminal", "redirect the output or name a file");
  }
  const ExportRequest request = makeRequest(options);
  const auto progress = makeProgress(globals.progress, "reading");
  const BundlePlan plan =
      planExport(StoreView(storeOf(globals)), request,
                 [&](std::uint64_t done, std::uint64_t total) { progress->update(done, total); });
  progress->finish();
  sayWhatIsIn(plan);
  if (options.output == "-") {
    FdSink sink(STDOUT_FILENO, "standard output");
    writeVolume(plan, 0, sink);
    return 0;
  }
  if (!isDirectory(options.output)) {
    writeTo(plan, 0, options.output, options.overwrite);
    return 0;
  }
  makeDirs(options.output);
  for (std::size_t volume = 0; volume < plan.volumes(); ++volume) {
    const Path path = Path(options.output) / volumeName(plan, volume);
    writeTo(plan, volume, path, options.overwrite);
    cli::print(path.string() + "\n");
  }
  return 0;
}

int want(const WantOptions& options, const cli::Globals& globals) {
  const StoreLayout layout = storeOf(globals);
  BundleRequest request;
  for (const auto& image : options.images)
    request.addWanted(image);
  const StoreView view(layout);
  for (const auto& image : view.catalog().list()) {
    // What was never verified is better brought again, signed.
    if (image.signature || globals.insecure.image) request.have.insert(image.id);
  }
  request.pieces = heldPieces(layout);
  const std::string text = request.dump();
  if (options.output == "-") {
    cli::print(text);
    return 0;
  }
  VolumeFile file(options.output);
  file.write(std::as_bytes(std::span(text)));
  file.commit();
  return 0;
}

}  // namespace

cli::Subcommand bundleExportSubcommand() {
  return {
      .name = "bundle export",
      .summary = "Write images with all they need into files for another machine",
      .details =
          "Images, their dependencies and signatures, as pieces in tar files that 'tar' lists and "
          "'sha512sum -c actool-bundle/SHA512SUMS' checks once unpacked. A directory receives "
          "one file a volume, whose paths are printed; - is standard output. With --for, what "
          "the other side has is left out, and what it wants is exported unless images are "
          "named. The same images and options make the same bytes; what a killed export had "
          "finished is not written again.\n\n"
          "Examples:\n"
          "    actool bundle export --output=/media/usb/ --split=4GB example.com/web\n"
          "    actool bundle export --output=- --for=request.json | ssh island actool bundle "
          "import -",
      .setup = [](cli::Options& app, cli::Globals& globals) -> std::function<int()> {
        auto options = std::make_shared<BundleExportOptions>();
        app.add("image", options->images, "names with labels, image IDs or prefixes")
            .typeName("IMAGE...");
        app.add("--output", options->output, "where to; - for standard output")
            .required()
            .typeName("FILE|DIR");
        app.add("--split", options->split, "bytes that a volume may have, at least 8MiB")
            .typeName("SIZE");
        app.add("--for", options->request, "what 'actool bundle want' wrote on the other side")
            .typeName("FILE");
        app.flag("--overwrite", options->overwrite, "replace files that are there");
        return [options, &globals] { return exportBundle(*options, globals); };
      }};
}

cli::Subcommand bundleWantSubcommand() {
  return {.name = "bundle want",
          .summary = "Write what this side has and wants, for 'actool bundle export --for'",
          .details =
              "Lists the verified images of this store, the pieces that came of bundles "
              "which are not complete yet, and the images that are named here.\n\n"
              "Example:\n    actool bundle want --output=request.json example.com/web",
          .setup = [](cli::Options& app, cli::Globals& globals) -> std::function<int()> {
            auto options = std::make_shared<WantOptions>();
            app.add("image", options->images, "names with labels, image IDs or prefixes")
                .typeName("IMAGE...");
            app.add("--output", options->output, "where to; - for standard output")
                .typeName("FILE")
                .defaultFromTarget();
            return [options, &globals] { return want(*options, globals); };
          }};
}

}  // namespace actool::cas
