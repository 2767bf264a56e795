// export: an ended pod's app, with what it wrote, as an image.
#include <fmt/format.h>
#include <sys/mount.h>

#include <filesystem>

#include "core/base/error.h"
#include "core/base/own_root.h"
#include "core/base/process.h"
#include "core/cli/sibling_tool.h"
#include "core/schema/image_manifest.h"
#include "run/commands.h"
#include "run/erofs_mount.h"
#include "run/images.h"
#include "run/mounts.h"
#include "run/pod_wait.h"

namespace actool::run {
namespace {

struct ExportArguments {
  std::string app;
  bool overwrite = false;
  std::string uuid;
  std::string output;
};

// The image's manifest for a tree that has everything in it: no dependencies are laid under it and
// no paths are taken out again.
schema::ImageManifest flatManifest(const Pod& pod, const schema::RuntimeApp& app) {
  const Path path = pod.layout().appManifest(app.name);
  schema::ImageManifest manifest =
      schema::ImageManifest::parse(readFile(path, schema::kMaxManifestBytes), path.string());
  manifest.dependencies.clear();
  manifest.pathWhitelist.clear();
  if (app.app) manifest.app = app.app;
  return manifest;
}

void bind(const Path& source, const Path& target) {
  if (::mount(source.c_str(), target.c_str(), nullptr, MS_BIND, nullptr) != 0) {
    throwErrno("binding " + source.string());
  }
}

// The app's root as the pod left it, at `target`, read-only. In a mount namespace of this process.
void mountAppRoot(const Pod& pod, const schema::RuntimeApp& app, const AppRoot& root,
                  const Path& target) {
  const PodLayout layout = pod.layout();
  if (!std::filesystem::is_empty(layout.appRootfs(app.name))) {  // it was copied
    bind(layout.appRootfs(app.name), target);
    return;
  }
  Path lower = root.tree;
  if (root.mount) {
    lower = layout.appLower(app.name);
    root.mount->attach(lower);
  }
  const std::string options = readOnlyOverlayOptions(layout.appUpper(app.name), lower);
  if (const int error = mountReadOnlyOverlay(target.c_str(), options.c_str()); error != 0) {
    throw SystemError(error, "mounting the root of app " + app.name.str());
  }
}

// What is mounted at a directory, until the owner goes.
class MountedAt {
 public:
  explicit MountedAt(Path target) : target_(std::move(target)) {}
  ~MountedAt() { ::umount2(target_.c_str(), UMOUNT_NOFOLLOW | MNT_DETACH); }
  MountedAt(const MountedAt&) = delete;
  MountedAt& operator=(const MountedAt&) = delete;

 private:
  Path target_;
};

void requireEnded(const Pod& pod) {
  const PodState state = pod.state();
  if (state == PodState::exited || state == PodState::exitedGarbage) return;
  throw Error(fmt::format("pod {} has not ended, it is {}", pod.uuid().str(), podStateName(state)),
              "an app is exported when nothing writes to it any more");
}

int exportPod(const cli::Globals& globals, const ExportArguments& arguments) {
  Pod pod = Pod::find(podsOf(globals), arguments.uuid);
  requireEnded(pod);
  // Against gc, as long as this runs.
  pod.lockFor(std::chrono::seconds(1));
  pod = foundAgain(podsOf(globals), pod);
  const auto manifest = pod.manifest();
  if (!manifest) throw Error("pod " + pod.uuid().str() + " has no manifest");
  const schema::RuntimeApp& app = chooseApp(*manifest, arguments.app);
  const Path output = std::filesystem::absolute(arguments.output);
  if (!arguments.overwrite && actool::exists(output)) {
    throw UsageError(output.string() + " exists", "use --overwrite to replace it");
  }

  becomeOwnRoot();
  Images images(globals, PullPolicy::never);
  const AppRoot root = images.appRoot(app.image.id);
  enterMountNamespace();
  const TempDir layout(tempRoot(), "actool-export.");
  makeDirs(layout.path() / "rootfs");
  writeFilePlain(layout.path() / "manifest", dumpPretty(flatManifest(pod, app).toJson()) + "\n");
  mountAppRoot(pod, app, root, layout.path() / "rootfs");
  const MountedAt mounted(layout.path() / "rootfs");

  std::vector<std::string> words;
  if (arguments.overwrite) words.emplace_back("--overwrite");
  words.push_back(layout.path().string());
  words.push_back(output.string());
  const CommandResult result = runCommand(cli::toolCommand("actool-build", globals, words));
  if (!result.status.ok()) {
    throw Error(fmt::format("exporting app {} of pod {}: actool-build {}", app.name.str(),
                            pod.uuid().str(), result.status.describe()));
  }
  return 0;
}

}  // namespace

cli::Subcommand exportCommand() {
  return {
      .name = "export",
      .summary = "Writes an app of an ended pod as an image",
      .details =
          "Writes the root of the app as the pod left it, with the manifest of its image and the "
          "app section it ran with, as an App Container Image. Volumes are not part of it. The "
          "image is not signed.\n\n"
          "Example:\n"
          "  actool export --app=web 5bc080ca web-changed.aci",
      .setup =
          [](cli::Options& app, cli::Globals& globals) {
            const auto arguments = std::make_shared<ExportArguments>();
            app.add("--app", arguments->app, "which app, when the pod has several")
                .typeName("NAME");
            app.flag("--overwrite", arguments->overwrite, "replace OUTPUT_FILE if it exists");
            app.add("UUID", arguments->uuid, "the pod's UUID or the beginning of it").required();
            app.add("OUTPUT_FILE", arguments->output, "the image to write, named .aci").required();
            return [arguments, &globals] { return exportPod(globals, *arguments); };
          },
  };
}

}  // namespace actool::run
