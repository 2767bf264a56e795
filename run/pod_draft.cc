#include "run/pod_draft.h"

#include <fmt/format.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/fs.h"
#include "core/cli/tool.h"
#include "run/reify.h"

namespace actool::run {
namespace {

schema::ImageManifest takeImage(PodDraft& draft, const Images& images, const schema::ImageId& id) {
  std::string bytes = images.store().manifestBytes(id);
  schema::ImageManifest manifest =
      schema::ImageManifest::parse(bytes, "manifest of " + id.shortForm());
  draft.imageManifests.insert_or_assign(id, std::move(bytes));
  images.store().noteUse(id);
  return manifest;
}

PodDraft draftFromManifest(const PodOptions& options, const Images& images) {
  PodDraft draft;
  schema::PodManifest manifest = schema::PodManifest::parse(
      readFile(options.podManifest, schema::kMaxPodManifestBytes), options.podManifest.string());
  std::map<schema::ImageId, schema::ImageManifest> byId;
  for (const schema::RuntimeApp& app : manifest.apps)
    byId.insert_or_assign(app.image.id, takeImage(draft, images, app.image.id));
  draft.manifest = withContext(options.podManifest.string(),
                               [&] { return reifyManifest(std::move(manifest), byId); });
  return draft;
}

// The images of standard input, with the options that stand without an image.
std::vector<AppPlan> appsFromRecords(const RunRequest& request, Images& images, PodDraft& draft) {
  if (!cli::readsRecords(false)) {
    throw UsageError("no image was given", "name one, like example.com/web:1.0.0");
  }
  if (request.pod.interactive) {
    throw UsageError("--interactive needs the image as an argument",
                     "standard input is where the images are read from now");
  }
  std::vector<AppPlan> apps;
  for (const schema::ImageId& id : images.fromRecords(STDIN_FILENO))
    apps.push_back({id, takeImage(draft, images, id), {}});
  if (apps.empty()) throw UsageError("no image was given, and standard input names none");
  if (request.withoutImage) {
    if (apps.size() != 1) {
      throw UsageError(
          fmt::format("options of an app were given, and standard input names {} images",
                      apps.size()),
          "name the images as arguments, each with its options");
    }
    apps.front().options = *request.withoutImage;
  }
  draft.readRecords = true;
  return apps;
}

PodDraft draftFromImages(const RunRequest& request, Images& images,
                         const std::vector<std::string>& environment) {
  PodDraft draft;
  std::vector<AppPlan> apps;
  if (request.apps.empty()) {
    apps = appsFromRecords(request, images, draft);
  } else {
    for (const AppRequest& app : request.apps) {
      const schema::ImageId id = images.find(app.image, app.options.signature);
      apps.push_back({id, takeImage(draft, images, id), app.options});
    }
  }
  draft.manifest = reify(request.pod, apps, environment);
  return draft;
}

}  // namespace

PodDraft draftPod(const RunRequest& request, Images& images,
                  const std::vector<std::string>& environment) {
  PodDraft draft = request.pod.podManifest.empty() ? draftFromImages(request, images, environment)
                                                   : draftFromManifest(request.pod, images);
  if (request.pod.interactive && draft.manifest.apps.size() > 1) {
    throw UsageError("--interactive is for pods of one app");
  }
  return draft;
}

std::vector<AppSource> appSources(const PodDraft& draft, Images& images) {
  std::vector<AppSource> sources;
  for (const schema::RuntimeApp& app : draft.manifest.apps) {
    sources.push_back(
        {app.name, draft.imageManifests.at(app.image.id), images.appRoot(app.image.id)});
  }
  return sources;
}

}  // namespace actool::run
