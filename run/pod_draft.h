// From the command line of `run` and `prepare` to the pod to be.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/schema/image_id.h"
#include "core/schema/pod_manifest.h"
#include "run/images.h"
#include "run/prepare.h"
#include "run/run_options.h"

namespace actool::run {

// The pod to be, and the manifests of its images as they lie in the store.
struct PodDraft {
  schema::PodManifest manifest;  // reified
  std::map<schema::ImageId, std::string> imageManifests;
  bool readRecords = false;  // the images came from standard input
};

// Finds or fetches the images and reifies the manifest; `environment` is that of --inherit-env.
// Throws UsageError, NotFoundError and what fetching throws.
PodDraft draftPod(const RunRequest& request, Images& images,
                  const std::vector<std::string>& environment);

// The roots of the draft's apps, in the order of the manifest (Images::appRoot()).
std::vector<AppSource> appSources(const PodDraft& draft, Images& images);

}  // namespace actool::run
