// run, prepare and run-prepared: from images to a pod that runs.
#include <fmt/format.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/fs.h"
#include "core/base/log.h"
#include "core/cli/table.h"
#include "run/audit.h"
#include "run/commands.h"
#include "run/images.h"
#include "run/machine.h"
#include "run/metadata_key.h"
#include "run/mounts.h"
#include "run/networks.h"
#include "run/pod_apps.h"
#include "run/pod_draft.h"
#include "run/pod_users.h"
#include "run/prepare.h"
#include "run/private_users.h"
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

Stage1Options stage1Options(const PodOptions& pod, const cli::Globals& globals) {
  return {.debug = globals.debug,
          .net = pod.netNamespace.empty() ? pod.net : "host",
          .interactive = pod.interactive,
          .localConfig = globals.localConfig,
          .hostname = pod.hostname,
          .disableCapabilities = globals.insecure.capabilities,
          .disablePaths = globals.insecure.paths,
          .disableSeccomp = globals.insecure.seccomp,
          .dnsResolv = pod.dnsResolv,
          .dnsHosts = pod.dnsHosts,
          .ipc = pod.ipc,
          .ociRuntime = pod.ociRuntime,
          .metadataToken = {},
          .changing = false};
}

// With what only the pod's directory tells.
Stage1Options ofPod(Stage1Options options, const PodOptions& pod, const Pod& of,
                    const Images& images) {
  if (pod.metadata) options.metadataToken = prepareMetadata(of, images.store().layout());
  if (const auto range = idRangeOf(of.layout())) options.privateUsers = range->text();
  return options;
}

TreeOptions treesOf(const PodOptions& pod) {
  return {.overlay = !pod.noOverlay,
          .etc = hasContainedNetworks(pod.net) || pod.dnsResolv != "default" ||
                 pod.dnsHosts != "default"};
}

// What of the network is not the stage1's: files, names and directories for it.
void prepareNetwork(const Pod& pod, const PodOptions& options, const cli::Globals& globals) {
  const std::string hostname =
      options.hostname.empty() ? "rkt-" + pod.uuid().str() : options.hostname;
  writeDnsFiles(pod.layout(), options, hostname);
  exportConfigDirs(globals);
  if (!options.netNamespace.empty()) enterNetNamespace(options.netNamespace);
}

[[noreturn]] void startStage1(const Pod& pod, const Stage1& stage1, const PodOptions& options,
                              const Stage1Options& forStage1, const cli::Globals& globals,
                              bool nullStdin = false) {
  announceMachine(pod.uuid(), globals);
  prepareNetwork(pod, options, globals);
  execStage1(pod, stage1, forStage1, nullStdin);
}

// Writes everything of the pod but its trees. What fails in `more` too leaves no pod behind.
template <typename More>
std::vector<AppSource> makePod(Pod& pod, const PodDraft& draft, const Stage1& stage1,
                               Images& images, More more) {
  try {
    writePodManifest(pod, draft.manifest);
    std::vector<AppSource> sources = appSources(draft, images);
    preparePod(pod, draft.manifest, stage1, sources);
    more(sources);
    return sources;
  } catch (Error& error) {
    error.addContext("preparing pod " + pod.uuid().str());
    removeTree(pod.layout().dir());
    throw;
  }
}

struct Making {
  RunRequest request;
  Images images;
  PodDraft draft;
  Stage1 stage1;
};

Making beginMaking(cli::Globals& globals, const std::vector<std::string>& words, RunWords which) {
  RunRequest request = parseRun(globals, words, which);
  // Before settle(), which notes in the environment what it warned of.
  const std::vector<std::string> environment =
      request.pod.inheritEnv ? hostEnvironment() : std::vector<std::string>();
  globals.settle();
  Images images(globals, request.pod.pullPolicy);
  PodDraft draft = draftPod(request, images, environment);
  Stage1 stage1 = selectStage1(request.pod.stage1, images, globals);
  return {std::move(request), std::move(images), std::move(draft), std::move(stage1)};
}

// A new pod. Its UUID is saved early, so that `actool rm --uuid-file` can clean up whatever
// happens next.
Pod newPod(const Making& making) {
  // Here, and not before: what talks to the network is the user.
  becomeRootOfPods(making.request.pod);
  const PodsLayout pods(making.images.store().layout().podsDir());
  Pod pod = Pod::create(pods);
  log::debug("pod {}", pod.uuid().str());
  if (making.request.pod.privateUsers) assignIdRange(pod, pods);
  const Path& file = making.request.pod.uuidFileSave;
  if (!file.empty()) writeFilePlain(file, pod.uuid().str() + "\n");
  return pod;
}

int runPod(cli::Globals& globals, const std::vector<std::string>& words) {
  Making making = beginMaking(globals, words, RunWords::run);
  Pod pod = newPod(making);
  const std::vector<AppSource> sources =
      makePod(pod, making.draft, making.stage1, making.images, [&](const auto&) {
        enterMountNamespace();
        if (!pod.moveTo(Phase::run)) throw Error("it was moved by another process");
      });
  const PodOptions& options = making.request.pod;
  mountTrees(pod, making.stage1, sources, treesOf(options));
  auditRun(making.images.store().layout(), pod, making.draft.manifest);
  startStage1(pod, making.stage1, options,
              ofPod(stage1Options(options, globals), options, pod, making.images), globals,
              making.draft.readRecords);
}

// A pod without apps, which go in and out while it runs.
int runSandbox(cli::Globals& globals, const std::vector<std::string>& words) {
  const RunRequest request = parseRun(globals, words, RunWords::sandbox);
  globals.settle();
  if (!request.apps.empty() || request.withoutImage || request.pod.interactive) {
    throw UsageError("app sandbox takes no images", "`actool app add` adds them to the pod");
  }
  Making making{request, Images(globals, request.pod.pullPolicy), {}, {"", ""}};
  making.draft.manifest.annotations.set(
      schema::AcIdentifier::parse(std::string(kMutableAnnotation)), "true");
  making.draft.manifest.volumes = request.pod.volumes;
  making.stage1 = selectStage1(request.pod.stage1, making.images, globals);
  if (!Stage1Manifest::parse(making.stage1.manifest, "manifest of the stage1")
           .entryPoint(kStage1AppAdd)) {
    throw UsageError("the stage1 has no entry points for apps that come and go",
                     "use one that has them, as native");
  }
  Pod pod = newPod(making);
  makePod(pod, making.draft, making.stage1, making.images, [&](const auto&) {
    enterMountNamespace();
    if (!pod.moveTo(Phase::run)) throw Error("it was moved by another process");
  });
  TreeOptions trees = treesOf(request.pod);
  trees.changing = true;
  mountTrees(pod, making.stage1, {}, trees);
  auditRun(making.images.store().layout(), pod, making.draft.manifest);
  Stage1Options options =
      ofPod(stage1Options(request.pod, globals), request.pod, pod, making.images);
  options.changing = true;
  startStage1(pod, making.stage1, request.pod, options, globals);
}

int preparePodOf(cli::Globals& globals, const std::vector<std::string>& words) {
  Making making = beginMaking(globals, words, RunWords::prepare);
  Pod pod = newPod(making);
  makePod(pod, making.draft, making.stage1, making.images, [&](const auto& sources) {
    if (making.request.pod.noOverlay) {
      // The images' mounts, which the copies are made of, go with this process.
      enterMountNamespace();
      mountTrees(pod, making.stage1, sources, {.overlay = false});
      writeFilePlain(pod.layout().copiedMark(), "");
    }
    if (!pod.moveTo(Phase::prepared)) throw Error("it was moved by another process");
  });
  cli::print(pod.uuid().str() + "\n");
  return 0;
}

InUseError startedByAnother(const Pod& pod) {
  return InUseError("pod " + pod.uuid().str() + " was started or removed by another process",
                    "a prepared pod runs once");
}

// Of several run-prepared of one pod, and a gc, one gets past here.
void lockPrepared(Pod& pod) {
  if (pod.phase() != Phase::prepared) {
    throw Error(fmt::format("pod {} is not prepared, it is {}", pod.uuid().str(),
                            podStateName(pod.state())),
                "a pod runs once; prepare another");
  }
  if (!pod.tryLock() || !actool::exists(pod.layout().dir())) throw startedByAnother(pod);
}

Stage1 stage1Of(const PodLayout& layout) {
  const Stage1Manifest manifest = Stage1Manifest::ofPod(layout);
  Stage1 stage1{readFile(layout.stage1Manifest(), schema::kMaxManifestBytes), stage1Tree(layout)};
  stage1.runEntry = resolveEntryPoint(stage1.rootfs, manifest.entryPoint(kStage1Run).value());
  stage1.version = manifest.interfaceVersion();
  stage1.readOnly = manifest.rootIsReadOnly();
  return stage1;
}

int runPreparedPod(cli::Globals& globals, const std::vector<std::string>& words) {
  const RunRequest request = parseRun(globals, words, RunWords::runPrepared);
  globals.settle();
  if (request.apps.size() != 1 || request.withoutImage || !request.apps[0].options.args.empty()) {
    throw UsageError("run-prepared takes one UUID", "`actool prepare` prints it");
  }
  Pod pod = Pod::find(podsOf(globals), request.apps[0].image);
  becomeRootOfPods(request.pod);
  lockPrepared(pod);
  const auto manifest = pod.manifest();
  if (!manifest) throw Error("pod " + pod.uuid().str() + " has no manifest");
  if (request.pod.interactive && manifest->apps.size() > 1) {
    throw UsageError("--interactive is for pods of one app");
  }
  const bool copied = actool::exists(pod.layout().copiedMark());
  const Stage1 stage1 = stage1Of(pod.layout());
  Images images(globals, PullPolicy::never);
  std::vector<AppSource> sources;
  if (!copied) {
    for (const schema::RuntimeApp& app : manifest->apps) {
      sources.push_back({app.name, "", images.appRoot(app.image.id)});
      writeTreeFile(pod, sources.back());
    }
  }
  enterMountNamespace();
  if (!pod.moveTo(Phase::run)) throw startedByAnother(pod);
  if (!copied) mountTrees(pod, stage1, sources, treesOf(request.pod));
  auditRun(images.store().layout(), pod, *manifest);
  startStage1(pod, stage1, request.pod,
              ofPod(stage1Options(request.pod, globals), request.pod, pod, images), globals);
}

cli::Subcommand described(cli::Subcommand command, RunWords which,
                          int (*work)(cli::Globals&, const std::vector<std::string>&)) {
  command.setup = [which](cli::Options& app, cli::Globals&) {
    describeRunOptions(app, which);
    return [] { return 0; };  // the work is rawArgs'
  };
  command.rawArgs = [work](cli::Globals& globals, const std::vector<std::string>& words) {
    return work(globals, words);
  };
  return command;
}

}  // namespace

cli::Subcommand podRunCommand() {
  return described(
      {.name = "run",
       .summary = "Runs images as a pod",
       .details =
           "actool run [OPTIONS] IMAGE [APP OPTIONS] [-- ARG...] [--- IMAGE ...]\n\n"
           "Runs one or more images as the apps of one pod, fetching what is not in the store. "
           "Options of an app follow its image; '--' begins the app's arguments, '---' ends them. "
           "Without an image, and with standard input not a terminal, the images are read from "
           "there as records; the app's standard input is /dev/null then, as it is always "
           "without --interactive.\n\n"
           "Run by another user than root, the pod is in a user namespace with the IDs that "
           "/etc/subuid and /etc/subgid give that user, and --net is none, host or default, which "
           "slirp4netns makes.\n\n"
           "The exit status of a pod of one app is the app's own, or 128 + N when signal N "
           "killed it.\n\n"
           "Example:\n"
           "  actool run --volume=data,kind=host,source=/srv example.com/web:1.0.0 \\\n"
           "      --user=33 -- --listen=80 --- example.com/logger --exec=/bin/logger\n"
           "  actool discover example.com/web | actool fetch | actool run",
       .setup = nullptr},
      RunWords::run, &runPod);
}

cli::Subcommand prepareCommand() {
  return described(
      {.name = "prepare",
       .summary = "Prepares a pod to be run later",
       .details =
           "actool prepare [OPTIONS] IMAGE [APP OPTIONS] [-- ARG...] [--- IMAGE ...]\n\n"
           "Does everything that `actool run` does before it starts the pod, and prints the "
           "pod's UUID. Options that hold for one run only (the network, the host name, standard "
           "input) are given to `actool run-prepared`. Prepared pods are removed by `actool gc` "
           "after 24 hours.\n\n"
           "Example:\n"
           "  uuid=$(actool prepare example.com/web:1.0.0 -- --listen=80)\n"
           "  actool run-prepared $uuid",
       .setup = nullptr},
      RunWords::prepare, &preparePodOf);
}

cli::Subcommand sandboxCommand() {
  return described(
      {.name = "app sandbox",
       .summary = "Runs a pod without apps, to which they can be added",
       .details =
           "actool app sandbox [OPTIONS]\n\n"
           "Runs in the foreground until it is stopped. Apps come in with `actool app add` and "
           "`actool app start`.\n\n"
           "Example:\n"
           "  actool app sandbox --uuid-file-save=/run/box.uuid &\n"
           "  actool app add $(cat /run/box.uuid) example.com/web --name=web",
       .setup = nullptr},
      RunWords::sandbox, &runSandbox);
}

cli::Subcommand runPreparedCommand() {
  return described(
      {.name = "run-prepared",
       .summary = "Runs a pod that was prepared",
       .details =
           "actool run-prepared [OPTIONS] UUID\n\n"
           "Runs a pod that `actool prepare` made; its exit status is as that of `actool run`. A "
           "pod runs once: of several that try at once one succeeds, and the others fail with "
           "exit code 250.\n\n"
           "Example:\n"
           "  actool run-prepared --hostname=web 5bc080ca",
       .setup = nullptr},
      RunWords::runPrepared, &runPreparedPod);
}

}  // namespace actool::run
