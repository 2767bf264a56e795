// list, status and cat-manifest: what is known of pods.
#include <fmt/format.h>

#include <algorithm>

#include "core/base/clock.h"
#include "core/base/duration.h"
#include "core/base/error.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/strings.h"
#include "core/cli/table.h"
#include "run/commands.h"
#include "run/isolator_report.h"
#include "run/networks.h"
#include "run/pod.h"
#include "run/pod_wait.h"

namespace actool::run {
namespace {

using std::chrono::system_clock;

constexpr std::size_t kShortUuid = 8;

std::string imageName(const schema::RuntimeImage& image) {
  if (!image.name) return {};
  const auto version = image.labels.get("version");
  return version ? fmt::format("{}:{}", image.name->str(), *version) : image.name->str();
}

bool hasEnded(PodState state) {
  return state == PodState::exited || state == PodState::exitedGarbage ||
         state == PodState::exitedDeleting;
}

std::int64_t unixSeconds(system_clock::time_point time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

Json podJson(const Pod& pod) {
  const PodState state = pod.state();
  Json object = {{"kind", "pod"}, {"uuid", pod.uuid().str()}, {"state", podStateName(state)}};
  if (const auto time = pod.created()) object["created"] = formatRfc3339(*time);
  if (const auto time = pod.started()) object["started"] = formatRfc3339(*time);
  if (const auto pid = pod.pid()) object["pid"] = *pid;
  // rkt's names for the same (its api/v1), for what was written for `rkt list --format=json`.
  object["name"] = pod.uuid().str();
  if (const auto time = pod.created()) object["created_at"] = unixSeconds(*time);
  if (const auto time = pod.started()) object["started_at"] = unixSeconds(*time);
  Json apps = Json::array();
  Json names = Json::array();
  if (const auto manifest = pod.manifest()) {
    for (const schema::RuntimeApp& app : manifest->apps) {
      names.push_back(app.name.str());
      Json entry = {{"name", app.name.str()},
                    {"image", imageName(app.image)},
                    {"imageID", app.image.id.str()},
                    {"image_id", app.image.id.str()}};
      if (const auto status = pod.exitStatus(app.name)) {
        entry["exitStatus"] = *status;
        entry["exit_code"] = *status;
      }
      apps.push_back(std::move(entry));
    }
  }
  object["apps"] = std::move(apps);
  object["app_names"] = std::move(names);
  Json networks = Json::array();
  for (const NetworkInfo& network : readNetworks(pod.layout())) {
    networks.push_back({{"name", network.name},
                        {"interface", network.interface},
                        {"addresses", network.addresses}});
  }
  if (!networks.empty()) object["networks"] = std::move(networks);
  const std::vector<IsolatorState> isolators = readIsolators(pod.layout());
  if (!isolators.empty()) object.update(isolatorsToJson(isolators));
  return object;
}

struct ListOptions {
  std::optional<cli::Format> format;
  bool noLegend = false;
  bool full = false;
};

std::string timeText(std::optional<system_clock::time_point> time, bool full) {
  if (!time) return {};
  return full ? formatRfc3339(*time) : describeAge(systemClock().now() - *time);
}

std::vector<std::string> row(bool full, std::string uuid, std::string app, std::string image,
                             std::string id, std::string state, std::string created,
                             std::string started, std::string networks) {
  std::vector<std::string> cells{std::move(uuid), std::move(app), std::move(image)};
  if (full) cells.push_back(std::move(id));
  for (std::string* cell : {&state, &created, &started, &networks})
    cells.push_back(std::move(*cell));
  return cells;
}

std::string networksText(const Pod& pod) {
  std::vector<std::string> texts;
  for (const NetworkInfo& network : readNetworks(pod.layout()))
    texts.push_back(networkText(network));
  return join(texts, ",");
}

void addRows(cli::Table& table, const Pod& pod, bool full) {
  std::string uuid = full ? pod.uuid().str() : pod.uuid().str().substr(0, kShortUuid);
  std::string state(podStateName(pod.state()));
  std::string created = timeText(pod.created(), full);
  std::string started = timeText(pod.started(), full);
  const std::string networks = networksText(pod);
  const auto manifest = pod.manifest();
  if (!manifest || manifest->apps.empty()) {
    table.addRow(row(full, uuid, "", "", "", state, created, started, networks));
    return;
  }
  bool first = true;
  for (const schema::RuntimeApp& app : manifest->apps) {
    // What is the pod's stands in its first row only, as blanks in the others.
    const auto once = [&](const std::string& text) { return first ? text : std::string(" "); };
    table.addRow(row(full, once(uuid), app.name.str(), imageName(app.image),
                     app.image.id.shortForm(), once(state), once(created), once(started),
                     once(networks)));
    first = false;
  }
}

int listPods(const cli::Globals& globals, const ListOptions& options) {
  const std::vector<Pod> pods = Pod::list(podsOf(globals), {kPhases.begin(), kPhases.end()});
  const cli::Format format = cli::effectiveFormat(options.format);
  cli::Table table(row(options.full, "UUID", "APP", "IMAGE NAME", "IMAGE ID", "STATE", "CREATED",
                       "STARTED", "NETWORKS"));
  Json all = Json::array();
  std::string lines;
  for (const Pod& pod : pods) {
    try {
      if (format == cli::Format::table) {
        addRows(table, pod, options.full);
      } else if (format == cli::Format::jsonl) {
        lines += dumpLine(podJson(pod)) + "\n";
      } else {
        all.push_back(podJson(pod));
      }
    } catch (const Error& error) {
      // One pod whose files were damaged must not hide the others.
      log::warn("pod {} is left out: {}", pod.uuid().str(), error.what());
    }
  }
  if (format == cli::Format::table) lines = table.render(!options.noLegend);
  if (format == cli::Format::json) lines = dumpLine(all) + "\n";
  if (format == cli::Format::jsonPretty) lines = dumpPretty(all) + "\n";
  cli::print(lines);
  return 0;
}

struct StatusOptions {
  std::string uuid;
  std::string uuidFile;
  std::string wait;  // empty, "true", "false" or a duration
  std::string waitReady;
  std::optional<cli::Format> format;
};

// Nothing: do not wait. An inner nothing: without limit.
std::optional<std::optional<std::chrono::milliseconds>> waitTime(const std::string& text,
                                                                 std::string_view option) {
  if (text.empty() || text == "false") return std::nullopt;
  if (text == "true") return std::optional<std::chrono::milliseconds>();
  return requireDuration(text, option);
}

std::string statusText(const Pod& pod) {
  const PodState state = pod.state();
  std::string text = fmt::format("state={}\n", podStateName(state));
  if (const auto time = pod.created()) text += fmt::format("created={}\n", formatRfc3339(*time));
  if (const auto time = pod.started()) text += fmt::format("started={}\n", formatRfc3339(*time));
  if (state != PodState::running && !hasEnded(state)) return text;
  if (const auto pid = pod.pid()) text += fmt::format("pid={}\n", *pid);
  text += fmt::format("exited={}\n", hasEnded(state));
  if (const auto manifest = pod.manifest()) {
    for (const schema::RuntimeApp& app : manifest->apps) {
      if (const auto status = pod.exitStatus(app.name))
        text += fmt::format("app-{}={}\n", app.name.str(), *status);
    }
  }
  const std::string networks = networksText(pod);
  if (!networks.empty()) text += fmt::format("networks={}\n", networks);
  for (const IsolatorState& isolator : readIsolators(pod.layout())) {
    text += fmt::format("isolator-{}{}={}{}\n", isolator.app.empty() ? "" : isolator.app + ":",
                        isolator.name, isolatorStateName(isolator.state),
                        isolator.detail.empty() ? "" : " (" + printable(isolator.detail) + ")");
  }
  return text;
}

std::string chosenUuid(const std::string& uuid, const std::string& uuidFile) {
  if (uuid.empty() == uuidFile.empty()) {
    throw UsageError("one pod is needed", "give a UUID, or --uuid-file=FILE");
  }
  return uuid.empty() ? readUuidFile(uuidFile) : uuid;
}

int podStatus(const cli::Globals& globals, const StatusOptions& options) {
  Pod pod = Pod::find(podsOf(globals), chosenUuid(options.uuid, options.uuidFile));
  if (const auto timeout = waitTime(options.waitReady, "--wait-ready")) {
    pod = waitReady(podsOf(globals), std::move(pod), *timeout);
  }
  if (const auto timeout = waitTime(options.wait, "--wait")) {
    if (!pod.waitUnlocked(*timeout)) {
      throw Error(fmt::format("pod {} did not end in time", pod.uuid().str()));
    }
    pod = foundAgain(podsOf(globals), pod);
  }
  const cli::Format format = options.format.value_or(cli::Format::table);
  if (format == cli::Format::table) {
    cli::print(statusText(pod));
  } else {
    const Json object = podJson(pod);
    cli::print((format == cli::Format::jsonPretty ? dumpPretty(object) : dumpLine(object)) + "\n");
  }
  return 0;
}

struct CatOptions {
  std::string uuid;
  std::string uuidFile;
  bool pretty = true;
};

int catManifest(const cli::Globals& globals, const CatOptions& options) {
  const Pod pod = Pod::find(podsOf(globals), chosenUuid(options.uuid, options.uuidFile));
  const auto text = tryReadFile(pod.layout().manifest(), schema::kMaxPodManifestBytes);
  if (!text) {
    throw NotFoundError(fmt::format("pod {} has no manifest, it is {}", pod.uuid().str(),
                                    podStateName(pod.state())));
  }
  const Json manifest = parseJson(*text, "the manifest of pod " + pod.uuid().str(),
                                  {.bytes = schema::kMaxPodManifestBytes});
  cli::print((options.pretty ? dumpPretty(manifest) : dumpLine(manifest)) + "\n");
  return 0;
}

}  // namespace

cli::Subcommand listCommand() {
  return {
      .name = "list",
      .summary = "Lists pods",
      .details =
          "Lists the pods of this data directory with their apps and states: a table for people, "
          "one JSON object a line for pipes.\n\n"
          "Example:\n"
          "  actool list --full\n"
          "  actool list --format=jsonl | jq -r 'select(.state == \"running\").uuid'",
      .setup =
          [](cli::Options& app, cli::Globals& globals) {
            const auto options = std::make_shared<ListOptions>();
            cli::addFormatOption(app, options->format,
                                 {cli::Format::table, cli::Format::jsonl, cli::Format::json,
                                  cli::Format::jsonPretty});
            app.flag("--no-legend", options->noLegend, "leave the table's header out");
            app.flag("--full", options->full, "whole UUIDs and times, and image IDs");
            return [options, &globals] { return listPods(globals, *options); };
          },
  };
}

cli::Subcommand statusCommand() {
  return {
      .name = "status",
      .summary = "Shows the state of a pod and the exit statuses of its apps",
      .details =
          "Prints NAME=VALUE lines: state, created, started, pid, exited, and app-NAME with the "
          "exit status of each app that has ended. An app whose supervisor was killed has none. "
          "isolator-APP:NAME says of each isolator that was asked for whether it is applied, "
          "changed or ignored.\n\nExample:\n"
          "  actool status --wait=10s 5bc080ca",
      .setup =
          [](cli::Options& app, cli::Globals& globals) {
            const auto options = std::make_shared<StatusOptions>();
            app.add("UUID", options->uuid, "the pod's UUID or the beginning of it");
            app.add("--uuid-file", options->uuidFile, "read the UUID from a file");
            app.flag("--wait{true}", options->wait,
                     "wait until the pod has ended; --wait=10s: at most so long");
            app.flag("--wait-ready{true}", options->waitReady,
                     "wait until the pod runs; --wait-ready=10s: at most so long");
            cli::addFormatOption(app, options->format,
                                 {cli::Format::table, cli::Format::json, cli::Format::jsonPretty});
            return [options, &globals] { return podStatus(globals, *options); };
          },
  };
}

cli::Subcommand catManifestCommand() {
  return {
      .name = "pod-cat-manifest",
      .summary = "Prints the manifest of a pod",
      .details =
          "Prints the reified manifest a pod was made with. `actool cat-manifest UUID` comes "
          "here.\n\nExample:\n"
          "  actool cat-manifest 5bc080ca",
      .setup =
          [](cli::Options& app, cli::Globals& globals) {
            const auto options = std::make_shared<CatOptions>();
            app.add("UUID", options->uuid, "the pod's UUID or the beginning of it");
            app.add("--uuid-file", options->uuidFile, "read the UUID from a file");
            app.flag("--pretty-print", options->pretty, "indent the JSON (the default)");
            return [options, &globals] { return catManifest(globals, *options); };
          },
  };
}

}  // namespace actool::run
