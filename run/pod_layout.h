// Where things lie in a pod, as pure functions. docs/pods.md is the specification of the files and
// of the life cycle (rkt's: states by directory, lock and rename); docs/stage1-interface.md of what
// a stage1 may rely on.
//
//   <store>/pods/<phase>/<uuid>/              a pod; flock(2) on this directory is its lock
//     pod                                     the reified pod manifest
//     pod-created                             empty; its mtime is the creation time
//     pid | ppid                              written by stage1: decimal PID in the host's view;
//                                             its mtime is the start time
//     appsinfo/<app>/manifest                 the image's manifest, bytes as in the image
//     appsinfo/<app>/tree                     absolute path of what the app lies on:
//                                             <store>/trees/<key>/erofs or .../rootfs
//     trees-copied                            empty; `prepare --no-overlay` has copied the trees
//     stage1/manifest                         the stage1's image manifest
//     stage1/tree                             absolute path of the stage1's own root, the lower
//                                             layer of the overlay; absent when it was copied
//     stage1/rootfs/                          the stage1 tree. With overlay: a layer and, in the
//                                             pod's mount namespace, the mount: the upper one, or
//                                             one of two when it is read-only; else a copy
//     stage1/rootfs/opt/stage2/<app>/rootfs/  the app's root: an overlay mount or a copy
//     stage1/rootfs/rkt/status/<app>          written by stage1: exit status as decimal text
//     stage1/rootfs/rkt/env/<app>             reserved for stage1
//     stage1/rootfs/rkt/supervisor-status     link to "ready" once all apps have begun
//     stage1/rootfs/rkt/metadata-url          where apps reach the metadata service
//     stage1/rootfs/rkt/pids/<app>            of pods that change: the app's PID inside of the pod
//     stage1/rootfs/rkt/isolators             written by stage1: what became of each isolator
//     stage1/rootfs/rkt/cgroups               reserved for stage1
//     overlay/stage1/work/                    overlay's work directory for stage1/rootfs, unless
//                                             that is read-only
//     overlay/<app>.app/{upper,work}/         the app's upper layer and work directory
//     overlay/<app>.app/lower/                where the app's image is mounted, in the pod's mount
//                                             namespace, unless its tree was unpacked
//     sharedVolumes/<volume>/                 volumes of kind "empty"
//     logs/<app>.log, <app>.log.1             what the app logged
//     logs/<app>.journal                      instead: what its journal entries are marked with
//     control                                 socket: requests to the native stage1
//     metadata-key                            the metadata service's; for root only
//     pod.lck                                 locked while apps are added or removed
//     net-info.json                           written by stage1: the networks the pod is in
//     net-left.json                           the same, of a pod that has ended: what its removal
//     undoes netns, subcgroup                        reserved for stage1
//
// The upper layer of the stage1 overlay is the mount point itself, so what stage1 writes there
// (rkt/status) has the same path inside and outside of the pod's mount namespace.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "core/base/fs.h"
#include "core/base/uuid.h"
#include "core/schema/identifier.h"

namespace actool::run {

// A pod's directory on disk, in the order of its life; docs/pods.md.
enum class Phase { embryo, prepare, prepared, run, exitedGarbage, garbage };
inline constexpr std::array<Phase, 6> kPhases = {Phase::embryo,        Phase::prepare,
                                                 Phase::prepared,      Phase::run,
                                                 Phase::exitedGarbage, Phase::garbage};
// The name of the phase's directory: "exited-garbage".
std::string_view phaseDirName(Phase phase);

// "<store>/pods".
class PodsLayout {
 public:
  explicit PodsLayout(Path podsDir) : dir_(std::move(podsDir)) {}
  const Path& dir() const { return dir_; }
  Path phaseDir(Phase phase) const { return dir_ / phaseDirName(phase); }
  Path podDir(Phase phase, const Uuid& uuid) const { return phaseDir(phase) / uuid.str(); }

 private:
  Path dir_;
};

// One pod. `dir` is its directory: absolute, or "." for a stage1, whose working directory it is.
class PodLayout {
 public:
  explicit PodLayout(Path dir) : dir_(std::move(dir)) {}

  const Path& dir() const { return dir_; }
  Path manifest() const { return dir_ / "pod"; }
  Path created() const { return dir_ / "pod-created"; }
  Path copiedMark() const { return dir_ / "trees-copied"; }
  Path mutationLock() const { return dir_ / "pod.lck"; }
  Path metadataKey() const { return dir_ / "metadata-key"; }
  Path appLog(const schema::AcName& app) const { return dir_ / "logs" / (app.str() + ".log"); }
  Path appJournal(const schema::AcName& app) const {
    return dir_ / "logs" / (app.str() + ".journal");
  }
  // The IDs that the pod's are on the host, "FIRST:COUNT"; absent when they are the same.
  Path privateUsers() const { return dir_ / "private-users"; }
  Path pid() const { return dir_ / "pid"; }
  Path ppid() const { return dir_ / "ppid"; }
  Path appInfoDir(const schema::AcName& app) const { return dir_ / "appsinfo" / app.str(); }
  Path appManifest(const schema::AcName& app) const { return appInfoDir(app) / "manifest"; }
  Path appTreeFile(const schema::AcName& app) const { return appInfoDir(app) / "tree"; }

  Path stage1Dir() const { return dir_ / "stage1"; }
  Path stage1Manifest() const { return stage1Dir() / "manifest"; }
  Path stage1TreeFile() const { return stage1Dir() / "tree"; }
  Path stage1Rootfs() const { return stage1Dir() / "rootfs"; }
  Path stage2Dir(const schema::AcName& app) const {
    return stage1Rootfs() / "opt/stage2" / app.str();
  }
  Path appRootfs(const schema::AcName& app) const { return stage2Dir(app) / "rootfs"; }
  Path statusDir() const { return stage1Rootfs() / "rkt/status"; }
  Path statusFile(const schema::AcName& app) const { return statusDir() / app.str(); }
  // Of a pod that changes: the app's PID inside of the pod; its mtime is the app's start.
  Path pidsDir() const { return stage1Rootfs() / "rkt/pids"; }
  Path appPid(const schema::AcName& app) const { return pidsDir() / app.str(); }
  Path metadataUrl() const { return stage1Rootfs() / "rkt/metadata-url"; }
  Path readyMark() const { return stage1Rootfs() / "rkt/supervisor-status"; }
  Path netInfo() const { return dir_ / "net-info.json"; }
  Path netLeft() const { return dir_ / "net-left.json"; }
  Path isolatorsFile() const { return stage1Rootfs() / "rkt/isolators"; }
  Path cgroupsFile() const { return stage1Rootfs() / "rkt/cgroups"; }
  Path ownUsers() const { return stage1Rootfs() / "rkt/private-users"; }
  Path envFile(const schema::AcName& app) const { return stage1Rootfs() / "rkt/env" / app.str(); }

  Path stage1Work() const { return dir_ / "overlay/stage1/work"; }
  // ".app" keeps an app called "stage1" out of the way: no AC name has a dot.
  Path appOverlayDir(const schema::AcName& app) const {
    return dir_ / "overlay" / (app.str() + ".app");
  }
  Path appUpper(const schema::AcName& app) const { return appOverlayDir(app) / "upper"; }
  Path appWork(const schema::AcName& app) const { return appOverlayDir(app) / "work"; }
  Path appLower(const schema::AcName& app) const { return appOverlayDir(app) / "lower"; }

  Path sharedVolumesDir() const { return dir_ / "sharedVolumes"; }
  Path sharedVolume(const schema::AcName& volume) const {
    return sharedVolumesDir() / volume.str();
  }

 private:
  Path dir_;
};

// The annotations of a stage1's manifest that name its entry points, and the variable that tells
// it the number of the descriptor which holds the pod's lock.
inline constexpr std::string_view kStage1Run = "coreos.com/rkt/stage1/run";
// "true": its root can be read-only but for rkt and etc, unless apps come and go
// (docs/stage1-interface.md).
inline constexpr std::string_view kStage1ReadOnly = "actool/stage1/read-only";
inline constexpr std::string_view kStage1Enter = "coreos.com/rkt/stage1/enter";
inline constexpr std::string_view kStage1Gc = "coreos.com/rkt/stage1/gc";
inline constexpr std::string_view kStage1Stop = "coreos.com/rkt/stage1/stop";
inline constexpr std::string_view kStage1Attach = "coreos.com/rkt/stage1/attach";
inline constexpr std::string_view kStage1AppAdd = "coreos.com/rkt/stage1/app/add";
inline constexpr std::string_view kStage1AppStart = "coreos.com/rkt/stage1/app/start";
inline constexpr std::string_view kStage1AppStop = "coreos.com/rkt/stage1/app/stop";
inline constexpr std::string_view kStage1AppRm = "coreos.com/rkt/stage1/app/rm";
inline constexpr std::string_view kStage1InterfaceVersion =
    "coreos.com/rkt/stage1/interface-version";
inline constexpr const char* kLockFdVariable = "RKT_LOCK_FD";
// Which OCI runtime a stage1 that drives one is to take, by name or path (--oci-runtime).
inline constexpr const char* kOciRuntimeVariable = "ACTOOL_OCI_RUNTIME";

}  // namespace actool::run
