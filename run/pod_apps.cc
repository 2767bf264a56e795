#include "run/pod_apps.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>

#include "core/base/error.h"
#include "core/base/json.h"
#include "core/base/lock.h"
#include "run/mounts.h"
#include "run/pod_users.h"
#include "run/prepare.h"
#include "run/reify.h"
#include "run/stage1.h"

namespace actool::run {
namespace {

constexpr std::size_t kMaxReport = 4096;
constexpr auto kMutationPatience = std::chrono::seconds(30);

// Does `work` in a child that is in the mount namespace of process `pid`. Its Error comes back.
void inMountNamespaceOf(pid_t pid, const std::function<void()>& work) {
  const UniqueFd space = openFile(fmt::format("/proc/{}/ns/mnt", pid), O_RDONLY);
  Pipe report = makePipe();
  const pid_t child = ::fork();
  if (child < 0) throwErrno("starting a process");
  if (child == 0) {
    std::string failure;
    try {
      if (::setns(space.get(), CLONE_NEWNS) != 0) throwErrno("entering the pod's mounts");
      work();
    } catch (const Error& error) {
      failure = error.what();
      [[maybe_unused]] const ssize_t ignored =
          ::write(report.write.get(), failure.data(), std::min(failure.size(), kMaxReport));
    }
    ::_exit(failure.empty() ? 0 : 1);
  }
  report.write.reset();
  const std::string failure = readAll(report.read.get(), kMaxReport, "a process's report");
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) throwErrno("waiting for a process");
  }
  if (!failure.empty()) throw Error(failure);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    throw Error("a process in the pod's mounts was killed");
  }
}

FileLock mutationLock(const Pod& pod) {
  return FileLock::acquireFor(pod.layout().mutationLock(), LockMode::exclusive, kMutationPatience,
                              "pod " + pod.uuid().str() + ", whose apps are being changed");
}

// Read while the lock is held, which `pod` may have been opened before.
schema::PodManifest changeable(const Pod& pod) {
  auto manifest = pod.manifest();
  if (!manifest) throw Error("pod " + pod.uuid().str() + " has no manifest");
  if (!isMutable(*manifest)) {
    throw UsageError("the apps of pod " + pod.uuid().str() + " cannot be changed",
                     "only those of a pod of `actool app sandbox` can");
  }
  return std::move(*manifest);
}

void writeManifest(const Pod& pod, const schema::PodManifest& manifest) {
  writeFileAtomic(pod.layout().manifest(), dumpPretty(manifest.toJson()) + "\n");
}

// The pod's manifest with the app in it, as `run` would have made it.
schema::PodManifest withApp(const schema::PodManifest& pod, const schema::ImageId& id,
                            const schema::ImageManifest& image, AppOptions options) {
  // rkt's default: there is no standard output of a `run` in the foreground to go to.
  options.stdio.emplace("stdout", "log");
  options.stdio.emplace("stderr", "log");
  PodOptions podOptions;
  podOptions.volumes = pod.volumes;
  for (const schema::Volume& volume : options.volumes)
    podOptions.volumes.push_back(volume);
  schema::PodManifest one = reify(podOptions, {{id, image, options}}, {});
  schema::PodManifest manifest = pod;
  for (const schema::RuntimeApp& app : pod.apps) {
    if (app.name == one.apps.front().name) {
      throw UsageError(fmt::format("the pod has an app {} already", app.name.str()),
                       "give this one another name with --name");
    }
  }
  manifest.apps.push_back(std::move(one.apps.front()));
  manifest.volumes = std::move(one.volumes);
  return manifest;
}

void mountApp(const Pod& pod, const AppSource& source) {
  const PodLayout layout = pod.layout();
  inMountNamespaceOf(pod.pid().value(), [&] {
    // Through the overlay of the stage1, which may not see what is made beside it.
    makeDirs(layout.appRootfs(source.name), 0755);
    mountAppTree(pod, source, true);
  });
}

void unmountApp(const Pod& pod, const schema::AcName& app) {
  const PodLayout layout = pod.layout();
  const auto pid = pod.pid();
  if (pid) {
    inMountNamespaceOf(*pid, [&] {
      for (const Path& place :
           {layout.appRootfs(app), layout.appLower(app), layout.appOverlayDir(app)}) {
        if (::umount2(place.c_str(), UMOUNT_NOFOLLOW | MNT_DETACH) != 0 && errno != EINVAL &&
            errno != ENOENT) {
          throwErrno("unmounting " + place.string());
        }
      }
      removeTree(layout.stage2Dir(app));
    });
  }
  removeTree(layout.appOverlayDir(app));
  removeTree(layout.appInfoDir(app));
}

}  // namespace

bool isMutable(const schema::PodManifest& manifest) {
  return manifest.annotations.get(kMutableAnnotation) == "true";
}

void askStage1(const Pod& pod, std::string_view annotation, const schema::AcName& app,
               const cli::Globals& globals) {
  setCrossing(pod.layout(), pod.pid().value(), app.str());
  std::vector<std::string> arguments{"--app=" + app.str()};
  if (globals.debug) arguments.emplace_back("--debug");
  if (annotation == kStage1AppAdd) {
    arguments.push_back("--uuid=" + pod.uuid().str());
    if (globals.insecure.capabilities) {
      arguments.emplace_back("--disable-capabilities-restriction");
    }
    if (globals.insecure.paths) arguments.emplace_back("--disable-paths");
    if (globals.insecure.seccomp) arguments.emplace_back("--disable-seccomp");
  }
  const auto status = runEntryPoint(pod.layout(), annotation, arguments);
  if (!status) throw Error(fmt::format("the pod's stage1 has no entry point {}", annotation));
  if (!status->ok()) {
    throw Error(
        fmt::format("app {}: the stage1's {} {}", app.str(), annotation, status->describe()));
  }
}

schema::AcName addApp(const Pod& pod, const AppRequest& app, Images& images,
                      const cli::Globals& globals) {
  const FileLock lock = mutationLock(pod);
  const schema::PodManifest before = changeable(pod);
  const schema::ImageId id = images.find(app.image, app.options.signature);
  std::string bytes = images.store().manifestBytes(id);
  const auto image = schema::ImageManifest::parse(bytes, "manifest of " + id.shortForm());
  images.store().noteUse(id);
  const schema::PodManifest after = withApp(before, id, image, app.options);
  const schema::AcName name = after.apps.back().name;
  joinUsersOf(pod.layout());
  const AppSource source{name, std::move(bytes), images.appRoot(id)};
  try {
    prepareApp(pod, source);
    for (const schema::Volume& volume : after.volumes) {
      const bool known = std::any_of(before.volumes.begin(), before.volumes.end(),
                                     [&](const auto& one) { return one.name == volume.name; });
      if (!known) makeEmptyVolume(pod.layout(), volume);
    }
    mountApp(pod, source);
    writeManifest(pod, after);
    askStage1(pod, kStage1AppAdd, name, globals);
  } catch (const Error&) {
    writeManifest(pod, before);
    unmountApp(pod, name);
    throw;
  }
  return name;
}

void removeApp(const Pod& pod, const schema::AcName& app, const cli::Globals& globals) {
  const FileLock lock = mutationLock(pod);
  schema::PodManifest manifest = changeable(pod);
  joinUsersOf(pod.layout());
  askStage1(pod, kStage1AppStop, app, globals);
  askStage1(pod, kStage1AppRm, app, globals);
  std::erase_if(manifest.apps, [&](const schema::RuntimeApp& one) { return one.name == app; });
  writeManifest(pod, manifest);
  unmountApp(pod, app);
}

}  // namespace actool::run
