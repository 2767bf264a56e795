#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "cas/image_commands.h"
#include "cas/layout/lease.h"
#include "cas/store.h"
#include "core/base/clock.h"
#include "core/base/duration.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/cli/table.h"

namespace actool::cas {

namespace {

struct AddOptions {
  std::string name;
  std::string expires;
  std::vector<std::string> images;
};

int add(const AddOptions& options, const cli::Globals& globals) {
  checkLeaseName(options.name);
  const auto now = systemClock().now();
  Lease lease{.name = options.name, .created = formatRfc3339(now), .expires = {}, .images = {}};
  if (!options.expires.empty()) {
    lease.expires = formatRfc3339(now + requireDuration(options.expires, "--expires"));
  }
  // Before a store is created only to find nothing in it.
  const StoreView view(storeOf(globals));
  if (!view.reader().version()) view.catalog().resolve(options.images.front());
  // Under the lock: no collection comes between finding an image and keeping it.
  const StoreWriter writer(storeOf(globals));
  for (const auto& argument : options.images)
    lease.images.push_back(writer.catalog().resolve(argument).id);
  writeLease(writer.layout(), lease);
  return 0;
}

int list(const std::optional<cli::Format>& format, const cli::Globals& globals) {
  const auto leases = activeLeases(storeOf(globals), systemClock().now());
  if (cli::effectiveFormat(format) == cli::Format::jsonl) {
    for (const auto& lease : leases) {
      Json line = lease.toJson();
      line["kind"] = "lease";
      line.erase("version");
      cli::print(dumpLine(line) + "\n");
    }
    return 0;
  }
  cli::Table table({"NAME", "CREATED", "EXPIRES", "IMAGES"});
  for (const auto& lease : leases) {
    const std::string end = lease.whileLocked ? "with its holder" : lease.expires;
    table.addRow({lease.name, lease.created, end.empty() ? "never" : end,
                  fmt::to_string(lease.images.size())});
  }
  cli::print(table.render());
  return 0;
}

int remove(const std::vector<std::string>& names, const cli::Globals& globals) {
  for (const auto& name : names)
    checkLeaseName(name);
  std::vector<std::string> missing;
  if (StoreReader(storeOf(globals)).version()) {
    const StoreWriter writer(storeOf(globals));
    for (const auto& name : names) {
      if (!removeLease(writer.layout(), name)) missing.push_back(name);
    }
  } else {
    missing = names;
  }
  if (!missing.empty()) {
    throw NotFoundError(fmt::format("there is no lease {}", missing.front()),
                        "see 'actool image lease list'");
  }
  return 0;
}

}  // namespace

std::vector<cli::Subcommand> leaseSubcommands() {
  std::vector<cli::Subcommand> subcommands;
  subcommands.push_back(
      {.name = "image lease add",
       .summary = "Keep images from 'image gc' and 'image rm'",
       .details = "The lease NAME then holds exactly these images, and with them what they depend "
                  "on. One of that name is replaced.\n\n"
                  "Example:\n    actool image lease add --expires=7d release example.com/web:1.2.0",
       .setup = [](cli::Options& app, cli::Globals& globals) -> std::function<int()> {
         auto options = std::make_shared<AddOptions>();
         app.add("name", options->name, "name of the lease").required().typeName("NAME");
         app.add("image", options->images, "names with labels, image IDs or prefixes")
             .required()
             .typeName("IMAGE...");
         app.add("--expires", options->expires, "after which it holds nothing, as \"7d\"")
             .typeName("DURATION");
         return [options, &globals] { return add(*options, globals); };
       }});
  subcommands.push_back(
      {.name = "image lease list",
       .summary = "List what keeps images from being removed",
       .details = "A table on a terminal, otherwise one record a line.\n\n"
                  "Example:\n    actool image lease list",
       .setup = [](cli::Options& app, cli::Globals& globals) -> std::function<int()> {
         auto format = std::make_shared<std::optional<cli::Format>>();
         cli::addFormatOption(app, *format, {cli::Format::table, cli::Format::jsonl});
         return [format, &globals] { return list(*format, globals); };
       }});
  subcommands.push_back(
      {.name = "image lease rm",
       .summary = "End leases",
       .details = "The images stay until something removes them.\n\n"
                  "Example:\n    actool image lease rm release",
       .setup = [](cli::Options& app, cli::Globals& globals) -> std::function<int()> {
         auto names = std::make_shared<std::vector<std::string>>();
         app.add("name", *names, "names of leases").required().typeName("NAME...");
         return [names, &globals] { return remove(*names, globals); };
       }});
  return subcommands;
}

}  // namespace actool::cas
