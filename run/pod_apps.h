// Apps that come and go while their pod runs (docs/pods.md, Pods that change).
#pragma once

#include <string>
#include <vector>

#include "core/cli/globals.h"
#include "core/schema/identifier.h"
#include "core/schema/pod_manifest.h"
#include "run/images.h"
#include "run/pod.h"
#include "run/run_options.h"

namespace actool::run {

// The pod's annotation that says so.
inline constexpr std::string_view kMutableAnnotation = "coreos.com/rkt/stage1/mutable";
bool isMutable(const schema::PodManifest& manifest);

// Adds one app to a running pod, not started yet. What fails leaves the pod as it was. Throws
// UsageError when the pod does not change or has an app of that name.
schema::AcName addApp(const Pod& pod, const AppRequest& app, Images& images,
                      const cli::Globals& globals);
// Ends the app when it runs, and takes it out of the pod with everything of it.
void removeApp(const Pod& pod, const schema::AcName& app, const cli::Globals& globals);

// Runs the stage1's entry point `annotation` ("coreos.com/rkt/stage1/app/start") for the app.
void askStage1(const Pod& pod, std::string_view annotation, const schema::AcName& app,
               const cli::Globals& globals);

}  // namespace actool::run
