// app sandbox, add, start, stop, rm, list, status and exec: apps of a pod that runs.
#include <fmt/format.h>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/json.h"
#include "core/base/strings.h"
#include "core/cli/table.h"
#include "run/app_state.h"
#include "run/commands.h"
#include "run/pod_apps.h"
#include "run/pod_wait.h"
#include "run/stage1.h"

namespace actool::run {
namespace {

struct AppArguments {
  std::string app;
  std::string uuid;
};

int appAdd(cli::Globals& globals, const std::vector<std::string>& words) {
  const RunRequest request = parseRun(globals, words, RunWords::appAdd);
  globals.settle();
  if (request.apps.size() != 2 || request.withoutImage) {
    throw UsageError("app add takes a pod's UUID and one image",
                     "actool app add UUID IMAGE [APP OPTIONS] [-- ARG...]");
  }
  const Pod pod = findRunning(podsOf(globals), request.apps[0].image);
  Images images(globals, request.pod.pullPolicy);
  AppRequest app = request.apps[1];
  app.options.volumes = request.pod.volumes;
  cli::print(addApp(pod, app, images, globals).str() + "\n");
  return 0;
}

const schema::RuntimeApp& namedApp(const schema::PodManifest& manifest, const std::string& name) {
  if (name.empty()) throw UsageError("which app?", "name it with --app");
  return chooseApp(manifest, name);
}

schema::PodManifest manifestOf(const Pod& pod) {
  auto manifest = pod.manifest();
  if (!manifest) throw Error("pod " + pod.uuid().str() + " has no manifest");
  return std::move(*manifest);
}

int withApp(const cli::Globals& globals, const AppArguments& arguments,
            const std::function<void(const Pod&, const schema::AcName&)>& work) {
  const Pod pod = findRunning(podsOf(globals), arguments.uuid);
  const schema::PodManifest manifest = manifestOf(pod);
  const schema::AcName name = namedApp(manifest, arguments.app).name;
  if (!isMutable(manifest)) {
    throw UsageError("the apps of pod " + pod.uuid().str() + " cannot be changed",
                     "only those of a pod of `actool app sandbox` can");
  }
  work(pod, name);
  return 0;
}

struct ShowOptions {
  std::optional<cli::Format> format;
  bool noLegend = false;
  std::string app;
  std::string uuid;
};

int appList(const cli::Globals& globals, const ShowOptions& options) {
  const Pod pod = Pod::find(podsOf(globals), options.uuid);
  const schema::PodManifest manifest = manifestOf(pod);
  cli::Table table({"NAME", "STATE"});
  Json all = Json::array();
  for (const schema::RuntimeApp& app : manifest.apps) {
    const AppStatus status = appStatus(pod, manifest, app);
    table.addRow({app.name.str(), std::string(status.state)});
    all.push_back(status.toJson());
  }
  const cli::Format format = cli::effectiveFormat(options.format);
  std::string text;
  if (format == cli::Format::table) text = table.render(!options.noLegend);
  if (format == cli::Format::json) text = dumpLine(all) + "\n";
  if (format == cli::Format::jsonPretty) text = dumpPretty(all) + "\n";
  if (format == cli::Format::jsonl) {
    for (const Json& one : all)
      text += dumpLine(one) + "\n";
  }
  cli::print(text);
  return 0;
}

int appStatusOf(const cli::Globals& globals, const ShowOptions& options) {
  const Pod pod = Pod::find(podsOf(globals), options.uuid);
  const schema::PodManifest manifest = manifestOf(pod);
  const AppStatus status = appStatus(pod, manifest, namedApp(manifest, options.app));
  const cli::Format format = options.format.value_or(cli::Format::table);
  if (format == cli::Format::table) {
    cli::print(status.text());
  } else {
    const Json object = status.toJson();
    cli::print((format == cli::Format::jsonPretty ? dumpPretty(object) : dumpLine(object)) + "\n");
  }
  return 0;
}

std::function<std::function<int()>(cli::Options&, cli::Globals&)> setupFor(
    std::function<void(const Pod&, const schema::AcName&, const cli::Globals&)> work) {
  return [work](cli::Options& app, cli::Globals& globals) {
    const auto arguments = std::make_shared<AppArguments>();
    app.add("--app", arguments->app, "the app").typeName("NAME");
    app.add("UUID", arguments->uuid, "the pod's UUID or the beginning of it").required();
    return [arguments, work, &globals] {
      return withApp(globals, *arguments,
                     [&](const Pod& pod, const schema::AcName& name) { work(pod, name, globals); });
    };
  };
}

std::function<std::function<int()>(cli::Options&, cli::Globals&)> showing(
    bool one, const std::vector<cli::Format>& formats,
    int (*work)(const cli::Globals&, const ShowOptions&)) {
  return [one, formats, work](cli::Options& app, cli::Globals& globals) {
    const auto options = std::make_shared<ShowOptions>();
    if (one) {
      app.add("--app", options->app, "the app").typeName("NAME");
    } else {
      app.flag("--no-legend", options->noLegend, "leave the table's header out");
    }
    cli::addFormatOption(app, options->format, formats);
    app.add("UUID", options->uuid, "the pod's UUID or the beginning of it").required();
    return [options, work, &globals] { return work(globals, *options); };
  };
}

}  // namespace

std::vector<cli::Subcommand> appCommands() {
  std::vector<cli::Subcommand> commands;
  commands.push_back(sandboxCommand());
  commands.push_back(
      {.name = "app add",
       .summary = "Adds an app to a running pod",
       .details =
           "actool app add UUID IMAGE [APP OPTIONS] [-- ARG...]\n\n"
           "Prepares the image as an app of a pod of `actool app sandbox`; `actool app start` "
           "starts it. Its output goes to its log unless --stdout and --stderr say otherwise. "
           "Prints the app's name.\n\n"
           "Example:\n"
           "  actool app add 5bc080ca example.com/web --name=web -- --listen=80",
       .setup =
           [](cli::Options& app, cli::Globals&) {
             describeRunOptions(app, RunWords::appAdd);
             return [] { return 0; };  // the work is rawArgs'
           },
       .rawArgs = [](cli::Globals& globals,
                     const std::vector<std::string>& words) { return appAdd(globals, words); }});
  commands.push_back(
      {.name = "app start",
       .summary = "Starts an app of a running pod",
       .details = "Starts an app that was added, or that has ended. Of one that runs "
                  "nothing is changed.\n\nExample:\n"
                  "  actool app start 5bc080ca --app=web",
       .setup =
           setupFor([](const Pod& pod, const schema::AcName& app, const cli::Globals& globals) {
             askStage1(pod, kStage1AppStart, app, globals);
           })});
  commands.push_back({.name = "app stop",
                      .summary = "Ends an app of a running pod",
                      .details = "Sends the app SIGTERM, ten seconds later SIGKILL, and waits for "
                                 "its end.\n\nExample:\n"
                                 "  actool app stop 5bc080ca --app=web",
                      .setup = setupFor([](const Pod& pod, const schema::AcName& app,
                                           const cli::Globals& globals) {
                        askStage1(pod, kStage1AppStop, app, globals);
                      })});
  commands.push_back(
      {.name = "app rm",
       .summary = "Removes an app from a running pod",
       .details = "Ends the app when it runs, and removes it from the pod with its "
                  "root, log and status.\n\nExample:\n"
                  "  actool app rm 5bc080ca --app=web",
       .setup = setupFor([](const Pod& pod, const schema::AcName& app,
                            const cli::Globals& globals) { removeApp(pod, app, globals); })});
  commands.push_back(
      {.name = "app list",
       .summary = "Lists the apps of a pod",
       .details = "Lists the apps of a pod with their states: prepared, running or exited.\n\n"
                  "Example:\n"
                  "  actool app list 5bc080ca",
       .setup = showing(
           false,
           {cli::Format::table, cli::Format::jsonl, cli::Format::json, cli::Format::jsonPretty},
           &appList)});
  commands.push_back(
      {.name = "app status",
       .summary = "Shows the state of one app of a pod",
       .details = "Prints NAME=VALUE lines: name, state, image_id, created_at, started_at, "
                  "finished_at and exit_code.\n\n"
                  "Example:\n"
                  "  actool app status 5bc080ca --app=web",
       .setup = showing(true, {cli::Format::table, cli::Format::json, cli::Format::jsonPretty},
                        &appStatusOf)});
  cli::Subcommand exec = enterCommand();
  exec.name = "app exec";
  exec.details =
      "actool app exec [--app=NAME] UUID [COMMAND [ARG...]]\n\nAs `actool enter`.\n\n"
      "Example:\n"
      "  actool app exec --app=web 5bc080ca ps -ef";
  commands.push_back(std::move(exec));
  return commands;
}

}  // namespace actool::run
