// actool patch-manifest: a copy of an ACI with another manifest.
#include <memory>

#include "cas/aci_commands.h"
#include "cas/aci_input.h"
#include "cas/aci_manifest_patch.h"
#include "cas/aci_patch.h"
#include "core/base/error.h"

namespace actool::cas {

namespace {

constexpr const char* kPatchDetails =
    "Copies INPUT_ACI_FILE to OUTPUT_ACI_FILE with its manifest changed; with --replace, changes\n"
    "INPUT_ACI_FILE itself. The rest of the archive stays as it is, byte for byte. The image ID\n"
    "and every signature over the old file are void afterwards.\n"
    "\n"
    "Mount points, ports and isolators are added, or take the place of those of the same name.\n"
    "Several are separated by colons.\n"
    "\n"
    "Example:\n"
    "  actool patch-manifest --exec=\"/bin/web --port 80\" --user=33 --group=33 web.aci new.aci\n"
    "  actool patch-manifest --replace --capability=CAP_NET_BIND_SERVICE web.aci\n"
    "  actool patch-manifest --mounts=work,path=/opt,readOnly=true:tmp,path=/tmp \\\n"
    "    --ports=http,protocol=tcp,port=80 --isolators=resource/memory,limit=1G web.aci new.aci";

struct PatchArguments {
  std::string input;
  std::string output;
  std::string manifestFile;
  ManifestPatch patch;
  bool replace = false;
  bool overwrite = false;
  bool noCompression = false;
};

int run(const PatchArguments& arguments) {
  if (arguments.replace != arguments.output.empty()) {
    throw UsageError(arguments.replace ? "--replace takes one file" : "there is no output file",
                     "give either OUTPUT_ACI_FILE or --replace");
  }
  if (!arguments.manifestFile.empty() && !arguments.patch.empty()) {
    throw UsageError("--manifest goes with no other change to the manifest");
  }
  const Path output = arguments.replace ? arguments.input : arguments.output;
  if (!arguments.replace && output.extension() != ".aci") {
    throw UsageError("the output file must be named .aci, not " + output.filename().string());
  }
  std::string manifest;
  if (!arguments.manifestFile.empty()) {
    manifest = readFile(arguments.manifestFile, schema::kMaxManifestBytes);
    schema::ImageManifest::parse(manifest, arguments.manifestFile);
  } else {
    const std::string what = "manifest of " + arguments.input;
    const auto old = schema::ImageManifest::parse(readAciManifest(arguments.input), what);
    manifest = dumpLine(applyPatch(old, arguments.patch).toJson());
  }
  replaceManifest(arguments.input, output, manifest,
                  {.overwrite = arguments.overwrite || arguments.replace,
                   .compress = !arguments.noCompression});
  return static_cast<int>(ExitCode::ok);
}

std::function<int()> setUp(cli::Options& app) {
  const auto arguments = std::make_shared<PatchArguments>();
  ManifestPatch& patch = arguments->patch;
  app.add("--manifest", arguments->manifestFile, "take this file for the manifest");
  app.add("--name", patch.name, "the image's name");
  app.add("--exec", patch.exec, "the command line, words separated by spaces");
  app.add("--user", patch.user, "the app's user");
  app.add("--group", patch.group, "the app's group");
  app.add("--supplementary-groups", patch.supplementaryGroups, "further group IDs: GID[,GID...]");
  app.add("--capability", patch.capabilities, "capabilities to keep: CAP_X[,CAP_Y...]");
  app.add("--revoke-capability", patch.revokeCapabilities,
          "capabilities to take away: CAP_X[,CAP_Y...]");
  app.add("--mounts", patch.mounts, "mount points: NAME,path=PATH[,readOnly=BOOL][:...]");
  app.add("--ports", patch.ports,
          "ports: NAME,protocol=P,port=N[,count=N][,socketActivated=BOOL][:...]");
  app.add("--isolators", patch.isolators,
          "isolators: NAME[,request=QUANTITY][,limit=QUANTITY][:...]");
  app.add("--seccomp-mode", patch.seccompMode, "remove|retain[,errno=ERRNO]");
  app.add("--seccomp-set", patch.seccompSet, "system calls: CALL[,CALL...]");
  cli::Option replace = app.flag("--replace", arguments->replace, "change INPUT_ACI_FILE itself");
  app.flag("--overwrite", arguments->overwrite, "replace OUTPUT_ACI_FILE if it exists")
      .excludes(replace);
  app.flag("--no-compression", arguments->noCompression, "leave the image a plain tar");
  app.add("INPUT_ACI_FILE", arguments->input, "the image to read").required();
  app.add("OUTPUT_ACI_FILE", arguments->output, "the image to write, named .aci");
  return [arguments] { return run(*arguments); };
}

}  // namespace

cli::Subcommand patchManifestCommand() {
  return {.name = "patch-manifest",
          .summary = "Copy an image with its manifest changed",
          .details = kPatchDetails,
          .setup = [](cli::Options& app, cli::Globals&) { return setUp(app); }};
}

}  // namespace actool::cas
