#include "p2p/mirror/commands.h"

#include <fmt/format.h>
#include <unistd.h>

#include <memory>
#include <optional>

#include "core/base/clock.h"
#include "core/base/duration.h"
#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/base/log.h"
#include "core/base/overloaded.h"
#include "core/base/strings.h"
#include "core/cli/options.h"
#include "core/cli/table.h"
#include "core/record/record.h"
#include "p2p/mirror/check.h"
#include "p2p/mirror/output.h"
#include "p2p/mirror/process_outside.h"
#include "p2p/mirror/site.h"
#include "p2p/mirror/sync.h"
#include "p2p/mirror/version_pattern.h"

namespace actool::mirror {
namespace {

using cli::Format;

constexpr const char* kInitDetails =
    "Makes a site in the directory DIR: DIR/mirror.json, which says what it follows, and "
    "DIR/public, the root for a web server. URL is where that server shows it.\n\n"
    "Example:\n"
    "    actool mirror init --url https://mirror.example.com /srv/mirror";

constexpr const char* kSyncDetails =
    "Brings the site to what DIR/mirror.json names: fetches what is missing through `actool "
    "fetch`, "
    "so that only what your keys signed for its name is published, and takes away what the "
    "configuration no longer names. Each name changes at once, in one step; what was interrupted "
    "goes on where it was. With NAMEs only these are looked at, and nothing else is taken away.\n\n"
    "An image that cannot be had stays as it is, the others go on, and the exit status is that of "
    "the first failure.\n\n"
    "Example:\n"
    "    actool mirror sync /srv/mirror\n"
    "    actool mirror sync /srv/mirror quay.io/team/app";

constexpr const char* kAddDetails =
    "Publishes images of the store, with signatures and public keys, under their own names and "
    "versions. No network is asked. Without an IMAGE, records are read from standard input. What "
    "is "
    "added stays until `actool mirror rm`.\n\n"
    "Example:\n"
    "    actool mirror add /srv/mirror example.com/web:1.2.0\n"
    "    actool bundle import disc.bundle | actool mirror add /srv/mirror";

constexpr const char* kRmDetails =
    "Takes away the images of a name whose labels match. What mirror.json names comes back with "
    "the next sync.\n\n"
    "Example:\n"
    "    actool mirror rm /srv/mirror example.com/web:1.1.0";

constexpr const char* kListDetails =
    "What the site serves: a table on a terminal, otherwise the list of each name "
    "(docs/mirror.md).\n\n"
    "Example:\n"
    "    actool mirror list /srv/mirror";

constexpr const char* kPruneDetails =
    "Removes releases that are no longer in force, and images that none of the others leads to, "
    "once the grace period is over: who has read a page goes on with what it announced. "
    "`actool mirror sync` does the same. With --keep-last, of each name only the N highest "
    "versions stay.\n\n"
    "Example:\n"
    "    actool mirror prune --keep-last=3 /srv/mirror";

constexpr const char* kVerifyDetails =
    "Reads every image of the site: bytes against their digests, signatures against today's "
    "keys. With --repair, damaged files are removed, so that clients go to the next mirror and the "
    "next sync brings them anew. Exit status 253 when something is bad.\n\n"
    "Example:\n"
    "    actool mirror verify /srv/mirror";

void writeTalk(std::string_view text) {
  writeAll(STDERR_FILENO, text, "standard error");
}

struct Arguments {
  std::string dir;
  std::vector<std::string> words;
  std::optional<Format> format;
  std::string url;
  bool torrents = false;
  bool dryRun = false;
  bool repair = false;
  std::string grace = "24h";
  std::optional<std::uint64_t> keepLast;
};

PruneOptions pruneOptions(const Arguments& arguments) {
  return {requireDuration(arguments.grace, "--grace-period"), arguments.dryRun};
}

int init(const Arguments& arguments) {
  SiteConfig config;
  config.url = checkedSiteUrl(arguments.url);
  config.torrents = arguments.torrents;
  initSite(arguments.dir, config);
  log::info("made the mirror site {}; name what it follows in {}", arguments.dir,
            (Path(arguments.dir) / "mirror.json").string());
  return 0;
}

int sync(const Arguments& arguments, const cli::Globals& globals) {
  const Site site = Site::open(arguments.dir);
  SyncOptions options;
  options.prune = pruneOptions(arguments);
  for (const std::string& word : arguments.words) {
    const auto name = schema::AcIdentifier::parse(word);
    const auto& names = site.config().names;
    if (std::none_of(names.begin(), names.end(),
                     [&](const FollowedName& followed) { return followed.name == name; })) {
      throw NotFoundError(
          fmt::format("{} does not name {}", site.layout().configFile().string(), name.str()),
          "add it there, or add an image with `actool mirror add`");
    }
    options.only.insert(name);
  }
  SiteWriter writer(site);
  const cli::Siblings siblings(globals, writeTalk);
  ProcessOutside outside(globals, siblings);
  const SyncReport report = syncSite(site, writer, outside, options, systemClock().now());
  printChanges(report, false, cli::effectiveFormat(arguments.format));
  return static_cast<int>(report.code);
}

record::Image imageOf(Outside& outside, const record::Record& record) {
  return std::visit(Overloaded{
                        [](const record::Image& image) { return image; },
                        [](const record::Discovered& found) -> record::Image {
                          throw UsageError(
                              fmt::format("{} was discovered, not fetched", found.requested.str()),
                              "put `actool fetch` in between");
                        },
                        [&](const record::ImageArg& argument) -> record::Image {
                          if (const auto* ref = std::get_if<schema::AppRef>(&argument))
                            return outside.resolve(ref->str());
                          if (const auto* id = std::get_if<schema::ImageIdPrefix>(&argument))
                            return outside.resolve(id->str());
                          throw UsageError("only images of the store can be added",
                                           "fetch it first, and give its name or ID");
                        },
                    },
                    record);
}

int add(const Arguments& arguments, const cli::Globals& globals) {
  const Site site = Site::open(arguments.dir);
  const cli::Siblings siblings(globals, writeTalk);
  ProcessOutside outside(globals, siblings);
  std::vector<record::Image> images;
  for (const std::string& word : arguments.words)
    images.push_back(imageOf(outside, record::parseImageArg(word)));
  if (cli::readsRecords(!images.empty())) {
    record::forEachRecord(STDIN_FILENO, [&](const record::Record& record) {
      images.push_back(imageOf(outside, record));
    });
  }
  if (images.empty()) throw UsageError("no image to add", "see actool mirror add --help");
  SiteWriter writer(site);
  printChanges(addImages(site, writer, outside, images), false,
               cli::effectiveFormat(arguments.format));
  return 0;
}

int remove(const Arguments& arguments, const cli::Globals& globals) {
  const Site site = Site::open(arguments.dir);
  std::vector<schema::AppRef> refs;
  for (const std::string& word : arguments.words)
    refs.push_back(schema::AppRef::parse(word));
  SiteWriter writer(site);
  const cli::Siblings siblings(globals, writeTalk);
  ProcessOutside outside(globals, siblings);
  printChanges(removeImages(site, writer, outside, refs), false,
               cli::effectiveFormat(arguments.format));
  return 0;
}

int list(const Arguments& arguments) {
  const Site site = Site::open(arguments.dir);
  std::vector<record::Versions> names;
  for (const schema::AcIdentifier& name : site.names()) {
    if (auto versions = currentVersions(site.layout(), name)) names.push_back(std::move(*versions));
  }
  printList(names, cli::effectiveFormat(arguments.format));
  return 0;
}

// The versions of each name beyond the highest `keep`.
std::vector<schema::AppRef> beyond(const Site& site, std::uint64_t keep) {
  std::vector<schema::AppRef> refs;
  for (const schema::AcIdentifier& name : site.names()) {
    const auto versions = currentVersions(site.layout(), name);
    if (!versions) continue;
    std::vector<std::string> all;
    for (const record::ListedImage& image : versions->images) {
      if (const auto version = image.labels.get("version")) all.emplace_back(*version);
    }
    const std::vector<std::string> kept = selectVersions({"*"}, all, keep);
    for (const std::string& version : selectVersions({"*"}, all, 0)) {
      if (std::find(kept.begin(), kept.end(), version) != kept.end()) continue;
      refs.emplace_back(name,
                        schema::Labels::make({{schema::AcIdentifier::parse("version"), version}}));
    }
  }
  return refs;
}

int prune(const Arguments& arguments, const cli::Globals& globals) {
  const Site site = Site::open(arguments.dir);
  SiteWriter writer(site);
  const cli::Siblings siblings(globals, writeTalk);
  ProcessOutside outside(globals, siblings);
  SyncReport report;
  if (arguments.keepLast) {
    const std::vector<schema::AppRef> refs =
        beyond(site, std::max<std::uint64_t>(1, *arguments.keepLast));
    if (arguments.dryRun) {
      for (const schema::AppRef& ref : refs)
        report.pruned.push_back({ref.str(), 0});
    } else {
      report = removeImages(site, writer, outside, refs);
    }
  }
  for (Removed& removed : writer.prune(pruneOptions(arguments), systemClock().now()))
    report.pruned.push_back(std::move(removed));
  printChanges(report, arguments.dryRun, cli::effectiveFormat(arguments.format));
  return 0;
}

int verify(const Arguments& arguments, const cli::Globals& globals) {
  const Site site = Site::open(arguments.dir);
  std::optional<SiteWriter> writer;
  if (arguments.repair) writer.emplace(site);
  // What the tools say of what is good is no news.
  const cli::Siblings siblings(globals, [](std::string_view) {});
  ProcessOutside outside(globals, siblings);
  std::vector<Checked> images;
  bool bad = false;
  checkSite(site, outside, arguments.repair, [&](const Checked& checked) {
    if (!checked.why.empty()) {
      bad = true;
      log::error("{}: {}", schema::AppRef(checked.name, checked.image.labels).str(), checked.why);
    }
    images.push_back(checked);
  });
  printChecked(images, cli::effectiveFormat(arguments.format));
  return static_cast<int>(bad ? ExitCode::notTrusted : ExitCode::ok);
}

using Body = int (*)(const Arguments&, const cli::Globals&);
using AddOptions = void (*)(cli::Options&, Arguments&);

cli::Subcommand subcommand(std::string name, std::string summary, std::string details, Body body,
                           AddOptions addOptions, bool prints = true) {
  return {.name = std::move(name),
          .summary = std::move(summary),
          .details = std::move(details),
          .setup = [body, addOptions, prints](cli::Options& app,
                                              cli::Globals& globals) -> std::function<int()> {
            const auto arguments = std::make_shared<Arguments>();
            app.add("dir", arguments->dir, "the mirror site").required().typeName("DIR");
            addOptions(app, *arguments);
            if (prints)
              cli::addFormatOption(app, arguments->format, {Format::table, Format::jsonl});
            return [arguments, body, &globals] { return body(*arguments, globals); };
          }};
}

void addGrace(cli::Options& app, Arguments& arguments) {
  app.add("--grace-period", arguments.grace,
          "how long what nothing leads to any more is kept (default 24h)")
      .typeName("TIME");
}

}  // namespace

std::vector<cli::Subcommand> subcommands() {
  return {
      subcommand(
          "mirror init", "Make an empty mirror site", kInitDetails,
          [](const Arguments& arguments, const cli::Globals&) { return init(arguments); },
          [](cli::Options& app, Arguments& arguments) {
            app.add("--url", arguments.url, "where a web server shows DIR/public").required();
            app.flag("--torrents", arguments.torrents, "publish a torrent of every image too");
          },
          false),
      subcommand("mirror sync", "Bring a mirror site to what its configuration names", kSyncDetails,
                 sync,
                 [](cli::Options& app, Arguments& arguments) {
                   app.add("names", arguments.words, "names of the configuration (default: all)")
                       .typeName("NAME");
                   addGrace(app, arguments);
                 }),
      subcommand(
          "mirror add", "Publish images of the store on a mirror site", kAddDetails, add,
          [](cli::Options& app, Arguments& arguments) {
            app.add("images", arguments.words, "names with labels or image IDs").typeName("IMAGE");
          }),
      subcommand(
          "mirror rm", "Take images off a mirror site", kRmDetails, remove,
          [](cli::Options& app, Arguments& arguments) {
            app.add("images", arguments.words, "names with labels").typeName("IMAGE").required();
          }),
      subcommand(
          "mirror list", "List the images of a mirror site", kListDetails,
          [](const Arguments& arguments, const cli::Globals&) { return list(arguments); },
          [](cli::Options&, Arguments&) {}),
      subcommand("mirror prune", "Remove what nothing on a mirror site leads to any more",
                 kPruneDetails, prune,
                 [](cli::Options& app, Arguments& arguments) {
                   app.add("--keep-last", arguments.keepLast,
                           "of each name, take versions beyond the N highest away")
                       .typeName("N");
                   app.flag("--dry-run", arguments.dryRun, "say what would go, remove nothing");
                   addGrace(app, arguments);
                 }),
      subcommand("mirror verify", "Read a mirror site again and check everything", kVerifyDetails,
                 verify,
                 [](cli::Options& app, Arguments& arguments) {
                   app.flag("--repair", arguments.repair, "remove files that are damaged");
                 }),
  };
}

}  // namespace actool::mirror
