#include "run/isolator_options.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "core/cli/options.h"

namespace actool::run {
namespace {

constexpr const char* kRetainCapabilities = "os/linux/capabilities-retain-set";
constexpr const char* kRemoveCapabilities = "os/linux/capabilities-remove-set";
constexpr const char* kRetainCalls = "os/linux/seccomp-retain-set";
constexpr const char* kRemoveCalls = "os/linux/seccomp-remove-set";

// Replaces the isolators called `names` by one.
void replace(schema::App& app, std::string_view option, const std::vector<std::string>& names,
             const std::string& name, Json value) {
  std::vector<schema::Isolator> list;
  for (const schema::Isolator& isolator : app.isolators.list()) {
    if (std::find(names.begin(), names.end(), isolator.name.str()) == names.end()) {
      list.push_back(isolator);
    }
  }
  list.push_back({schema::AcIdentifier::parse(name), std::move(value)});
  try {
    app.isolators = schema::Isolators::make(std::move(list));
  } catch (const Error& error) {
    throw UsageError(fmt::format("{}: {}", option, error.what()));
  }
}

// A number in words as JSON has it, for the schema to check.
Json numberOf(std::string_view option, const std::string& text) {
  const bool negative = text.starts_with('-');
  const auto number = parseUint(std::string_view(text).substr(negative ? 1 : 0));
  if (!number || *number > 1 << 30) {
    throw UsageError(fmt::format("{}: '{}' is not a number", option, printable(text)));
  }
  const auto value = static_cast<std::int64_t>(*number);
  return negative ? -value : value;
}

void applySeccomp(const std::string& text, schema::App& app) {
  std::string mode;
  Json value = {{"set", Json::array()}};
  for (const std::string_view part : split(text, ',')) {
    if (part.starts_with("mode=") && mode.empty()) {
      mode = part.substr(5);
    } else if (part.starts_with("errno=") && !value.contains("errno")) {
      value["errno"] = part.substr(6);
    } else if (!part.empty() && part.find('=') == std::string_view::npos) {
      value["set"].push_back(part);
    } else {
      throw UsageError(fmt::format("--seccomp: '{}' is not known or stands twice", printable(part)),
                       "write --seccomp mode=retain|remove[,errno=NAME],CALL,...");
    }
  }
  if (mode != "retain" && mode != "remove") {
    throw UsageError("--seccomp needs mode=retain or mode=remove");
  }
  replace(app, "--seccomp", {kRetainCalls, kRemoveCalls},
          mode == "retain" ? kRetainCalls : kRemoveCalls, std::move(value));
}

}  // namespace

void addIsolatorOptions(cli::Options& app, IsolatorOptions& options, const std::string& group) {
  app.add("--memory", options.memory, "a limit of memory: 128M").group(group).typeName("BYTES");
  app.add("--cpu", options.cpu, "a limit of CPU time in cores: 500m")
      .group(group)
      .typeName("CORES");
  app.add("--cpu-shares", options.cpuShares, "the weight among those that want CPU time")
      .group(group)
      .typeName("SHARES");
  app.add("--caps-retain", options.capsRetain, "the only capabilities the app may have")
      .group(group)
      .typeName("CAP,...")
      .delimiter(',')
      .oneValueEach();
  app.add("--caps-remove", options.capsRemove, "capabilities of the default ones it may not have")
      .group(group)
      .typeName("CAP,...")
      .delimiter(',')
      .oneValueEach();
  app.add("--seccomp", options.seccomp, "the system calls it may, or may not, make")
      .group(group)
      .typeName("mode=retain|remove,CALL,...");
  app.add("--oom-score-adj", options.oomScoreAdj, "whom the kernel ends first, -1000 to 1000")
      .group(group)
      .typeName("N");
  app.flag("--no-new-privileges", options.noNewPrivileges,
           "programs it executes give it no privileges")
      .group(group);
}

void applyIsolatorOptions(const IsolatorOptions& options, schema::App& app) {
  if (options.memory) {
    replace(app, "--memory", {"resource/memory"}, "resource/memory", {{"limit", *options.memory}});
  }
  if (options.cpu) {
    replace(app, "--cpu", {"resource/cpu"}, "resource/cpu", {{"limit", *options.cpu}});
  }
  if (options.cpuShares) {
    replace(app, "--cpu-shares", {"os/linux/cpu-shares"}, "os/linux/cpu-shares",
            numberOf("--cpu-shares", *options.cpuShares));
  }
  if (options.oomScoreAdj) {
    replace(app, "--oom-score-adj", {"os/linux/oom-score-adj"}, "os/linux/oom-score-adj",
            numberOf("--oom-score-adj", *options.oomScoreAdj));
  }
  if (!options.capsRetain.empty() && !options.capsRemove.empty()) {
    throw UsageError("--caps-retain and --caps-remove exclude each other");
  }
  for (const bool retain : {true, false}) {
    const std::vector<std::string>& given = retain ? options.capsRetain : options.capsRemove;
    if (given.empty()) continue;
    replace(app, retain ? "--caps-retain" : "--caps-remove",
            {kRetainCapabilities, kRemoveCapabilities},
            retain ? kRetainCapabilities : kRemoveCapabilities, {{"set", given}});
  }
  if (options.seccomp) applySeccomp(*options.seccomp, app);
  if (options.noNewPrivileges) {
    replace(app, "--no-new-privileges", {"os/linux/no-new-privileges"},
            "os/linux/no-new-privileges", true);
  }
}

}  // namespace actool::run
