// config: what the configuration directories say, merged, as rkt's `config` prints it.
#include <map>

#include "core/base/config_file.h"
#include "core/base/error.h"
#include "core/base/json.h"
#include "core/cli/table.h"
#include "run/commands.h"

namespace actool::run {
namespace {

// One entry for each domain: a later directory replaces it.
void addCredentials(Json& entries, const ConfigDirs& dirs) {
  std::map<std::string, Json> byDomain;
  forEachConfig(dirs, "auth.d", "auth", [&](const ConfigFile&, const Json& content) {
    for (const Json& domain : member(content, "domains")) {
      if (!domain.is_string()) throw UsageError("domains: one is no string");
      Json entry = content;
      entry["domains"] = Json::array({domain});
      byDomain[domain.get<std::string>()] = std::move(entry);
    }
  });
  for (auto& [domain, entry] : byDomain)
    entries.push_back(std::move(entry));
}

// The last value of each member holds.
void addMerged(Json& entries, const ConfigDirs& dirs, std::string_view folder,
               std::string_view kind, const std::vector<std::string>& keys, const Json& defaults) {
  Json entry = {{"rktKind", kind}, {"rktVersion", "v1"}};
  entry.update(defaults);
  forEachConfig(dirs, folder, kind, [&](const ConfigFile&, const Json& content) {
    for (const std::string& key : keys) {
      const std::string value = stringMemberOr(content, key, "");
      if (!value.empty()) entry[key] = value;
    }
  });
  if (entry.size() > 2) entries.push_back(std::move(entry));
}

int printConfig(const cli::Globals& globals, bool pretty) {
  const ConfigDirs dirs = globals.configDirs();
  Json entries = Json::array();
  addCredentials(entries, dirs);
  Json paths = {{"data", globals.dir.string()}};
  if (!globals.ns.isDefault()) paths["namespace"] = globals.ns.str();
  addMerged(entries, dirs, "paths.d", "paths", {"stage1-images"}, paths);
  addMerged(entries, dirs, "stage1.d", "stage1", {"name", "version", "location"}, Json::object());
  const Json all = {{"stage0", std::move(entries)}};
  cli::print((pretty ? dumpPretty(all) : dumpLine(all)) + "\n");
  return 0;
}

}  // namespace

cli::Subcommand configCommand() {
  return {
      .name = "config",
      .summary = "Prints the configuration that holds",
      .details =
          "Prints what the system, local and user configuration say together, as JSON whose "
          "entries are valid configuration files: credentials by domain, paths and "
          "the stage1. Credentials are printed as they are.\n\n"
          "Example:\n"
          "  actool config | jq '.stage0[] | select(.rktKind == \"paths\")'",
      .setup =
          [](cli::Options& app, cli::Globals& globals) {
            const auto pretty = std::make_shared<bool>(true);
            app.flag("--pretty-print", *pretty, "indent the JSON (the default)");
            return [pretty, &globals] { return printConfig(globals, *pretty); };
          },
  };
}

}  // namespace actool::run
