#include <fmt/format.h>
#include <unistd.h>

#include <map>

#include "core/base/error.h"
#include "core/base/fs.h"
#include "core/base/log.h"
#include "run/commands.h"
#include "run/images.h"
#include "run/mounts.h"
#include "run/prepare.h"
#include "run/reify.h"
#include "run/run_options.h"
#include "run/stage1_select.h"

extern "C" char** environ;

namespace actool::run {
namespace {

std::vector<std::string> hostEnvironment() {
  std::vector<std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry)
    variables.emplace_back(*entry);
  return variables;
}

// The pod to be, and the manifests of its images as they lie in the store.
struct Plan {
  schema::PodManifest manifest;
  std::map<schema::ImageId, std::string> imageManifests;
  bool readRecords = false;
};

schema::ImageManifest takeImage(Plan& plan, const Images& images, const schema::ImageId& id) {
  std::string bytes = images.store().manifestBytes(id);
  schema::ImageManifest manifest =
      schema::ImageManifest::parse(bytes, "manifest of " + id.shortForm());
  plan.imageManifests.insert_or_assign(id, std::move(bytes));
  images.store().noteUse(id);
  return manifest;
}

Plan planFromManifest(const PodOptions& options, const Images& images) {
  Plan plan;
  schema::PodManifest manifest = schema::PodManifest::parse(
      readFile(options.podManifest, schema::kMaxPodManifestBytes), options.podManifest.string());
  std::map<schema::ImageId, schema::ImageManifest> byId;
  for (const schema::RuntimeApp& app : manifest.apps)
    byId.insert_or_assign(app.image.id, takeImage(plan, images, app.image.id));
  plan.manifest = withContext(options.podManifest.string(),
                              [&] { return reifyManifest(std::move(manifest), byId); });
  return plan;
}

// The images of standard input, with the options that stand without an image.
std::vector<AppPlan> plansFromRecords(const RunRequest& request, Images& images, Plan& plan) {
  if (!cli::readsRecords(false)) {
    throw UsageError("no image was given", "name one: actool run example.com/web:1.0.0");
  }
  if (request.pod.interactive) {
    throw UsageError("--interactive needs the image as an argument",
                     "standard input is where the images are read from now");
  }
  std::vector<AppPlan> apps;
  for (const schema::ImageId& id : images.fromRecords(STDIN_FILENO))
    apps.push_back({id, takeImage(plan, images, id), {}});
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
  plan.readRecords = true;
  return apps;
}

Plan planFromImages(const RunRequest& request, Images& images,
                    const std::vector<std::string>& environment) {
  Plan plan;
  std::vector<AppPlan> apps;
  if (request.apps.empty()) {
    apps = plansFromRecords(request, images, plan);
  } else {
    for (const AppRequest& app : request.apps) {
      const schema::ImageId id = images.find(app.image);
      apps.push_back({id, takeImage(plan, images, id), app.options});
    }
  }
  plan.manifest = reify(request.pod, apps, environment);
  return plan;
}

Stage1Options stage1Options(const PodOptions& pod, const cli::Globals& globals) {
  return {.debug = globals.debug,
          .net = pod.net,
          .interactive = pod.interactive,
          .localConfig = globals.localConfig,
          .hostname = pod.hostname,
          .disableCapabilities = globals.insecure.capabilities,
          .disablePaths = globals.insecure.paths,
          .disableSeccomp = globals.insecure.seccomp,
          .dnsResolv = pod.dnsResolv,
          .dnsHosts = pod.dnsHosts,
          .ipc = pod.ipc};
}

// Brings the pod as far as phase `run`, in a mount namespace of this process's own. What fails on
// the way leaves no pod behind.
std::vector<AppSource> bringToRun(Pod& pod, const Plan& plan, const Stage1& stage1,
                                  Images& images) {
  try {
    writePodManifest(pod, plan.manifest);
    std::vector<AppSource> sources;
    for (const schema::RuntimeApp& app : plan.manifest.apps) {
      sources.push_back(
          {app.name, plan.imageManifests.at(app.image.id), images.appRoot(app.image.id)});
    }
    preparePod(pod, plan.manifest, stage1, sources);
    enterMountNamespace();
    if (!pod.moveTo(Phase::run)) throw Error("it was moved by another process");
    return sources;
  } catch (Error& error) {
    error.addContext("preparing pod " + pod.uuid().str());
    removeTree(pod.layout().dir());
    throw;
  }
}

int runPod(cli::Globals& globals, const std::vector<std::string>& words) {
  const RunRequest request = parseRun(globals, words);
  // Before settle(), which notes in the environment what it warned of.
  const std::vector<std::string> environment =
      request.pod.inheritEnv ? hostEnvironment() : std::vector<std::string>();
  globals.settle();
  Images images(globals, request.pod.pullPolicy);
  const Plan plan = request.pod.podManifest.empty() ? planFromImages(request, images, environment)
                                                    : planFromManifest(request.pod, images);
  if (request.pod.interactive && plan.manifest.apps.size() > 1) {
    throw UsageError("--interactive is for pods of one app");
  }
  const Stage1 stage1 = selectStage1(request.pod.stage1, images, globals);

  Pod pod = Pod::create(PodsLayout(images.store().layout().podsDir()));
  log::debug("pod {}", pod.uuid().str());
  // Early, so that `actool rm --uuid-file` can clean up whatever happens next.
  if (!request.pod.uuidFileSave.empty()) {
    writeFilePlain(request.pod.uuidFileSave, pod.uuid().str() + "\n");
  }
  const std::vector<AppSource> sources = bringToRun(pod, plan, stage1, images);
  mountTrees(pod, stage1, sources, !request.pod.noOverlay);
  execStage1(pod, stage1, stage1Options(request.pod, globals), plan.readRecords);
}

}  // namespace

cli::Subcommand podRunCommand() {
  return {
      .name = "run",
      .summary = "Runs images as a pod",
      .details =
          "actool run [OPTIONS] IMAGE [APP OPTIONS] [-- ARG...] [--- IMAGE ...]\n\n"
          "Runs one or more images as the apps of one pod, fetching what is not in the store. "
          "Options of an app follow its image; '--' begins the app's arguments, '---' ends them. "
          "Without an image, and with standard input not a terminal, the images are read from "
          "there as records; the app's standard input is /dev/null then, as it is always "
          "without --interactive.\n\n"
          "The exit status of a pod of one app is the app's own, or 128 + N when signal N "
          "killed it.\n\n"
          "Example:\n"
          "  actool run --volume=data,kind=host,source=/srv example.com/web:1.0.0 \\\n"
          "      --user=33 -- --listen=80 --- example.com/logger --exec=/bin/logger\n"
          "  actool discover example.com/web | actool fetch | actool run",
      .setup =
          [](cli::Options& app, cli::Globals&) {
            describeRunOptions(app);
            return [] { return 0; };  // the work is rawArgs'
          },
      .rawArgs = [](cli::Globals& globals,
                    const std::vector<std::string>& words) { return runPod(globals, words); },
  };
}

}  // namespace actool::run
