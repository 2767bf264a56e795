// From images and options to a pod manifest in which nothing is left open (spec/pods.md:
// "reified").
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/schema/image_id.h"
#include "core/schema/image_manifest.h"
#include "core/schema/pod_manifest.h"
#include "run/run_options.h"

namespace actool::run {

// One app to be: its image and what was said about it.
struct AppPlan {
  schema::ImageId id;
  schema::ImageManifest image;
  AppOptions options;
};

// The reified manifest: unique app names (the last component of the image's name, sanitised,
// unless given), each app's App with the overrides in, its environment in rkt's order of
// precedence (`environment` of --inherit-env, the image, --set-env-file, --set-env,
// --environment), and mounts as settleMounts() leaves them. Throws UsageError.
schema::PodManifest reify(const PodOptions& pod, const std::vector<AppPlan>& apps,
                          const std::vector<std::string>& environment);

// An operator's own manifest: apps without "app" get their image's, then mounts are settled.
// `images` has every image the manifest names. Throws UsageError.
schema::PodManifest reifyManifest(schema::PodManifest manifest,
                                  const std::map<schema::ImageId, schema::ImageManifest>& images);

// Every mount point of an app becomes a mount: of the volume of its name, else, with a warning, of
// an implicit empty volume "<app>-<mount point>". A mount with the path of a mount point stands for
// it. Throws UsageError when a mount names no volume, or two mounts share a path.
void settleMounts(schema::PodManifest& manifest);

// UsageError when the labels os and arch say that the image is for another machine.
void checkPlatform(const schema::ImageManifest& image);

}  // namespace actool::run
