#include "run/prepare.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "core/base/error.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/strings.h"
#include "run/erofs_mount.h"
#include "run/mounts.h"
#include "run/private_users.h"

extern "C" char** environ;

namespace actool::run {
namespace {

UniqueFd openDir(const Path& path) {
  return openFile(path.string(), O_PATH | O_DIRECTORY);
}

// One of a new pod's, whose parent is there: makeDirs() would try its way up for each.
void makeDir(const Path& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) {
    throwErrno("creating directory " + path.string());
  }
}

// Lays an overlay, or copies. False: copied.
bool mountOrCopy(const Overlay& overlay, bool overlayWanted, std::string_view what) {
  if (overlayWanted) {
    if (mountOverlay(overlay)) return true;
    log::warn("overlayfs is not to be had for {}: its tree is copied", what);
  }
  copyTree(overlay.lower, overlay.target);
  return false;
}

// The same for the app of a pod with IDs of its own. The layers' owners are mapped, or those of a
// copy are changed.
void mountOrCopyMapped(const PodLayout& layout, const AppSource& app, const IdRange& range,
                       bool overlayWanted) {
  const UniqueFd users = makeUserNamespace(range);
  const Path target = layout.appRootfs(app.name);
  Path lower = app.root.tree;
  if (overlayWanted) {
    const UniqueFd upper = detachedMount(layout.appOverlayDir(app.name));
    bool mapped = mapMountOwners(upper.get(), users.get(), false);
    if (mapped) {
      attachMount(upper, layout.appOverlayDir(app.name));
      const auto layer =
          app.root.mount ? app.root.mount : std::make_shared<ImageMount>(detachedMount(lower));
      mapped = layer->mapOwners(users.get());
      lower = layout.appLower(app.name);
      layer->attach(lower);
      // overlayfs writes to its upper layer as who mounts it.
      const FileIdentity root(range);
      if (mapped &&
          mountOverlay({lower, layout.appUpper(app.name), layout.appWork(app.name), target})) {
        return;
      }
    } else if (app.root.mount) {
      lower = layout.appLower(app.name);
      app.root.mount->attach(lower);
    }
    log::warn("app {}: owners of files can't be mapped here: its tree is copied", app.name.str());
  } else if (app.root.mount) {
    lower = layout.appLower(app.name);
    app.root.mount->attach(lower);
  }
  copyTree(lower, target);
  shiftOwners(target, range);
}

}  // namespace

void writePodManifest(const Pod& pod, const schema::PodManifest& manifest) {
  writeFilePlain(pod.layout().manifest(), dumpPretty(manifest.toJson()) + "\n");
  writeFilePlain(pod.layout().created(), "");
}

void makeEmptyVolume(const PodLayout& layout, const schema::Volume& volume) {
  if (volume.kind != schema::Volume::Kind::empty) return;
  const Path path = layout.sharedVolume(volume.name);
  makeDirs(path, 0755);
  // The type lets only octal digits in.
  const unsigned long mode = std::strtoul(volume.mode.c_str(), nullptr, 8);
  if (::chown(path.c_str(), volume.uid, volume.gid) != 0) {
    const SystemError cause(
        errno, fmt::format("giving volume {} to {}:{}", volume.name.str(), volume.uid, volume.gid));
    if (cause.errnum() != EINVAL) throw SystemError(cause);
    throw Error(cause.what(), "it is not among the IDs that /etc/subuid and /etc/subgid give you");
  }
  if (::chmod(path.c_str(), static_cast<mode_t>(mode)) != 0) {
    throwErrno("setting the mode of volume " + volume.name.str());
  }
}

void prepareApp(const Pod& pod, const AppSource& app) {
  const PodLayout layout = pod.layout();
  makeDir(layout.appInfoDir(app.name).parent_path(), 0755);
  makeDir(layout.appInfoDir(app.name), 0755);
  writeFilePlain(layout.appManifest(app.name), app.imageManifest);
  writeTreeFile(pod, app);
  makeDir(layout.appOverlayDir(app.name).parent_path(), 0700);
  makeDir(layout.appOverlayDir(app.name), 0755);
  makeDir(layout.appUpper(app.name), 0755);
  makeDir(layout.appWork(app.name), 0700);
  makeDir(layout.appLower(app.name), 0700);
  if (app.root.mount) {
    copyDirAttributes(app.root.mount->fd(), layout.appUpper(app.name));
  } else {
    copyDirAttributes(openDir(app.root.tree).get(), layout.appUpper(app.name));
  }
}

void mountAppTree(const Pod& pod, const AppSource& app, bool overlayWanted) {
  const PodLayout layout = pod.layout();
  if (const auto range = idRangeOf(layout)) {
    mountOrCopyMapped(layout, app, *range, overlayWanted);
    return;
  }
  Path lower = app.root.tree;
  if (app.root.mount) {
    lower = layout.appLower(app.name);
    app.root.mount->attach(lower);
  }
  mountOrCopy(
      {lower, layout.appUpper(app.name), layout.appWork(app.name), layout.appRootfs(app.name)},
      overlayWanted, "app " + app.name.str());
}

void preparePod(const Pod& pod, const schema::PodManifest& manifest, const Stage1& stage1,
                const std::vector<AppSource>& apps) {
  const PodLayout layout = pod.layout();
  makeDir(layout.stage1Dir(), 0755);
  makeDir(layout.stage1Rootfs(), 0755);
  writeFilePlain(layout.stage1Manifest(), stage1.manifest);
  writeFilePlain(layout.stage1TreeFile(), stage1.rootfs.string() + "\n");
  makeDir(layout.statusDir().parent_path(), 0755);
  makeDir(layout.statusDir(), 0755);
  if (!apps.empty()) makeDirs(layout.stage2Dir(apps.front().name).parent_path(), 0755);
  for (const AppSource& app : apps) {
    prepareApp(pod, app);
    makeDir(layout.stage2Dir(app.name), 0755);
    makeDir(layout.appRootfs(app.name), 0755);
  }

  for (const schema::Volume& volume : manifest.volumes)
    makeEmptyVolume(layout, volume);
  for (const schema::RuntimeApp& app : manifest.apps) {
    for (const schema::Mount& mount : app.mounts)
      if (mount.appVolume) makeEmptyVolume(layout, *mount.appVolume);
  }
}

void writeTreeFile(const Pod& pod, const AppSource& app) {
  writeFilePlain(pod.layout().appTreeFile(app.name), app.root.tree.string() + "\n");
}

namespace {

// The stage1's tree, which nobody writes to through this mount, with directories of the pod's own
// in it. An overlay without an upper layer takes a quarter of the time of one that has it.
bool mountReadOnlyStage1(const PodLayout& layout, const Stage1& stage1, bool etc) {
  const Path root = layout.stage1Rootfs();
  std::vector<Path> places{layout.statusDir().parent_path()};
  if (etc) {
    places.push_back(root / "etc");
    makeDirs(places.back(), 0755);
  }
  std::vector<UniqueFd> own;  // of `places`, before they are covered
  own.reserve(places.size());
  for (const Path& place : places)
    own.push_back(detachedMount(place));
  const std::string options = readOnlyOverlayOptions(root, stage1.rootfs);
  if (const int error = mountReadOnlyOverlay(root.c_str(), options.c_str()); error != 0) {
    if (overlayNotToBeHad(error)) return false;
    throw SystemError(error, "mounting the stage1 at " + root.string());
  }
  for (std::size_t i = 0; i < places.size(); ++i)
    attachMount(own[i], places[i]);
  return true;
}

bool mountStage1(const PodLayout& layout, const Stage1& stage1, const TreeOptions& options) {
  if (options.overlay && stage1.readOnly && !options.changing &&
      mountReadOnlyStage1(layout, stage1, options.etc)) {
    return true;
  }
  const Path root = layout.stage1Rootfs();
  copyDirAttributes(openDir(stage1.rootfs).get(), root);
  makeDirs(layout.stage1Work(), 0700);
  return mountOrCopy({stage1.rootfs, root, layout.stage1Work(), root}, options.overlay,
                     "the stage1");
}

}  // namespace

void mountTrees(const Pod& pod, const Stage1& stage1, const std::vector<AppSource>& apps,
                const TreeOptions& options) {
  const PodLayout layout = pod.layout();
  if (!mountStage1(layout, stage1, options)) {
    // Its absence tells that stage1/rootfs is the whole tree.
    if (::unlink(layout.stage1TreeFile().c_str()) != 0) {
      throwErrno("removing " + layout.stage1TreeFile().string());
    }
  }
  for (const AppSource& app : apps)
    mountAppTree(pod, app, options.overlay);
}

void execStage1(const Pod& pod, const Stage1& stage1, const Stage1Options& options,
                bool nullStdin) {
  const PodLayout layout = pod.layout();
  const std::string program = (layout.stage1Rootfs() / stage1.runEntry).string();
  const std::vector<std::string> arguments = runArguments(options, stage1.version, pod.uuid());
  std::vector<char*> argv{const_cast<char*>(program.c_str())};  // execve(2) does not write there
  for (const std::string& argument : arguments)
    argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);

  if (::chdir(layout.dir().c_str()) != 0) throwErrno("entering " + layout.dir().string());
  if (nullStdin) {
    const UniqueFd null = openFile("/dev/null", O_RDONLY);
    if (::dup2(null.get(), STDIN_FILENO) < 0) throwErrno("closing standard input");
  }
  if (!options.ociRuntime.empty() &&
      ::setenv(kOciRuntimeVariable, options.ociRuntime.c_str(), 1) != 0) {
    throwErrno("naming the OCI runtime to the stage1");
  }
  if (::setenv(kLockFdVariable, std::to_string(pod.fd()).c_str(), 1) != 0 ||
      ::fcntl(pod.fd(), F_SETFD, 0) != 0) {
    throwErrno("handing the pod's lock to the stage1");
  }
  // An ignored signal stays ignored over exec, which no app expects.
  ::signal(SIGPIPE, SIG_DFL);
  log::debug("executing {} {}", program, join(arguments, " "));
  ::execve(program.c_str(), argv.data(), environ);
  throwErrno("executing the stage1 " + program);
}

}  // namespace actool::run
