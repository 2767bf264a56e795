// Stage0's work on a pod's directory, and the hand-over to stage1.
#pragma once

#include <string>
#include <vector>

#include "core/schema/pod_manifest.h"
#include "run/images.h"
#include "run/pod.h"
#include "run/stage1.h"

namespace actool::run {

// What one app of the pod is made from.
struct AppSource {
  schema::AcName name;
  std::string imageManifest;  // the bytes
  AppRoot root;
};

// The pod's manifest and its time of creation. To be written before anything else: garbage
// collection of images looks into pod manifests. Nothing is synced here or later: a pod does not
// outlive the machine's run.
void writePodManifest(const Pod& pod, const schema::PodManifest& manifest);

// The part of preparePod() for one app: its appsinfo and its overlay's directories.
void prepareApp(const Pod& pod, const AppSource& app);
// The directory of a volume of kind "empty".
void makeEmptyVolume(const PodLayout& layout, const schema::Volume& volume);
// Mounts (or copies) one app's tree at its place, as mountTrees() does.
void mountAppTree(const Pod& pod, const AppSource& app, bool overlayWanted);

// Makes everything else docs/pods.md lists but the trees. The pod is in phase `prepare` and locked.
void preparePod(const Pod& pod, const schema::PodManifest& manifest, const Stage1& stage1,
                const std::vector<AppSource>& apps);

// The part of it that says on which tree an app lies.
void writeTreeFile(const Pod& pod, const AppSource& app);

struct TreeOptions {
  bool overlay = true;    // false: trees are copied
  bool changing = false;  // apps come and go: directories for them are made in the stage1's tree
  bool etc = false;       // somebody writes to etc of the stage1's tree
};

// Mounts (or, where overlay is not to be had or not wanted, copies) the stage1's and the apps'
// trees. This process has a mount namespace of its own, the pod is in phase `run`.
void mountTrees(const Pod& pod, const Stage1& stage1, const std::vector<AppSource>& apps,
                const TreeOptions& options);

// Execs the stage1's run entry point in the pod's directory with the lock's descriptor open.
// Throws when that fails; does not return.
[[noreturn]] void execStage1(const Pod& pod, const Stage1& stage1, const Stage1Options& options,
                             bool nullStdin);

}  // namespace actool::run
