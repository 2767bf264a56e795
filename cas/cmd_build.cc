// actool build: an ACI of an image layout.
#include <memory>

#include "cas/aci_build.h"
#include "cas/aci_commands.h"
#include "core/base/error.h"
#include "core/base/log.h"

namespace actool::cas {

namespace {

constexpr const char* kBuildDetails =
    "Builds an App Container Image of DIRECTORY, an image layout: a file `manifest` and a "
    "directory\n"
    "`rootfs`, and nothing else. The layout is checked first, and the image before it gets its\n"
    "name. The same layout always makes the same bytes: entries are sorted, and the gzip\n"
    "header has no time in it.\n"
    "\n"
    "Owners, modes, times, extended attributes, hard links, holes of sparse files, devices and\n"
    "FIFOs are kept. Build as root, or with --owner-root, for an image whose files belong to "
    "root.\n"
    "\n"
    "Example:\n"
    "  actool build --owner-root web-layout web.aci\n"
    "  gpg --armor --output web.aci.asc --detach-sig web.aci";

struct BuildArguments {
  std::string layout;
  std::string output;
  BuildOptions options;
  bool noCompression = false;
};

int run(const BuildArguments& arguments) {
  const Path output = arguments.output;
  if (output.extension() != ".aci") {
    throw UsageError("the output file must be named .aci, not " + output.filename().string());
  }
  BuildOptions options = arguments.options;
  options.output.compress = !arguments.noCompression;
  const AciSummary summary = buildAci(arguments.layout, output, options);
  log::debug("{}: {} entries, {} bytes of tar", output.string(), summary.entries, summary.tarBytes);
  return static_cast<int>(ExitCode::ok);
}

}  // namespace

cli::Subcommand buildCommand() {
  return {.name = "build",
          .summary = "Build an image of an image layout",
          .details = kBuildDetails,
          .setup = [](cli::Options& app, cli::Globals&) -> std::function<int()> {
            const auto arguments = std::make_shared<BuildArguments>();
            app.flag("--overwrite", arguments->options.output.overwrite,
                     "replace OUTPUT_FILE if it exists");
            app.flag("--no-compression", arguments->noCompression, "leave the image a plain tar");
            app.flag("--owner-root", arguments->options.ownerRoot,
                     "let every file belong to root:root");
            app.add("DIRECTORY", arguments->layout, "the image layout").required();
            app.add("OUTPUT_FILE", arguments->output, "the image to write, named .aci").required();
            return [arguments] { return run(*arguments); };
          }};
}

}  // namespace actool::cas
