// actool discover: from names to the URLs of images, signatures and public keys.
#include <fmt/format.h>

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/base/error.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/strings.h"
#include "core/cli/options.h"
#include "core/cli/table.h"
#include "core/cli/tool.h"
#include "core/net/curl_http.h"
#include "core/record/record.h"
#include "discovery/finder.h"

namespace actool::discovery {
namespace {

constexpr const char* kDetails =
    "Asks the web page of each name, and the pages of its parents, where its images, their\n"
    "signatures and its public keys are (appc meta-discovery). Labels that are not given default\n"
    "to version=latest and to the os and arch of this machine. Prints a table on a terminal and\n"
    "one JSON object a line otherwise, which `actool fetch` reads. Without a name, names are read\n"
    "from standard input, one a line.\n"
    "\n"
    "Mirrors that mirrors.d names are asked first, and for images the name's own pages only when\n"
    "none of them knows the name. Public keys are never asked of mirrors.\n"
    "\n"
    "Nothing that is found this way is trusted: signatures are checked when an image is fetched.\n"
    "\n"
    "Example:\n"
    "  actool discover example.com/web:1.2.0\n"
    "  actool discover example.com/web,version=1.2.0,os=linux,arch=aarch64 | actool fetch\n"
    "  actool discover --keys example.com/web\n"
    "  actool discover --versions example.com/web\n"
    "\n"
    "Exit status: 252 when the pages announce nothing for the name, 251 when a page could not\n"
    "be had (network, TLS, redirects, credentials).";

struct Arguments {
  std::vector<std::string> names;
  std::optional<cli::Format> format;
  bool json = false;
  bool keysOnly = false;
  bool versions = false;
  bool noMirrors = false;
  bool insecure = false;
  std::uint16_t port = 0;
};

record::Discovered discover(Finder& finder, const schema::AppRef& ref, bool keysOnly) {
  return withContext(fmt::format("discovering {}", ref.str()), [&] {
    return keysOnly ? record::Discovered{ref, {}, finder.keys(ref.name())} : finder.images(ref);
  });
}

record::Versions versionsOf(Finder& finder, const schema::AppRef& ref) {
  if (!ref.labels().empty()) {
    throw UsageError(fmt::format("\"{}\" has labels", ref.str()),
                     "--versions lists all images of a name");
  }
  return withContext(fmt::format("listing the versions of {}", ref.str()),
                     [&] { return finder.versions(ref.name()); });
}

// The shape of appc's own `actool discover --json`.
std::string appcJson(const record::Discovered& found) {
  Json endpoints = Json::array();
  for (const record::Endpoint& endpoint : found.endpoints)
    endpoints.push_back({{"ACI", endpoint.aci}, {"ASC", endpoint.asc}});
  return dumpPretty({{"ACIEndpoints", endpoints}, {"PublicKeys", found.keys}}) + "\n";
}

void addRows(cli::Table& table, const record::Discovered& found) {
  const std::string name = found.requested.str();
  for (const record::Endpoint& endpoint : found.endpoints) {
    table.addRow({name, "image", endpoint.aci, endpoint.mirror});
    table.addRow({name, "signature", endpoint.asc, endpoint.mirror});
  }
  for (const std::string& key : found.keys)
    table.addRow({name, "public key", key, ""});
}

void addVersionRows(cli::Table& table, const record::Versions& versions) {
  for (const record::ListedImage& image : versions.images) {
    table.addRow({schema::AppRef(versions.name, image.labels).str(),
                  image.id ? image.id->shortForm() : "",
                  image.size != 0 ? formatByteSize(image.size) : ""});
  }
}

schema::AppRef nameOf(const record::Record& record) {
  if (const auto* argument = std::get_if<record::ImageArg>(&record)) {
    if (const auto* ref = std::get_if<schema::AppRef>(argument)) return *ref;
  }
  throw UsageError("only names of images can be discovered",
                   "write one a line, as example.com/web:1.2.0");
}

int run(const Arguments& arguments, const cli::Globals& globals) {
  if (arguments.insecure) {
    log::warn("--insecure: certificates are not checked and plain http is allowed");
  }
  const bool fromInput = cli::readsRecords(!arguments.names.empty());
  if (arguments.names.empty() && !fromInput) {
    throw UsageError("no name to discover", "see actool discover --help");
  }
  const cli::Format format =
      arguments.json ? cli::Format::json : cli::effectiveFormat(arguments.format);

  Options options;
  options.allowHttp = globals.insecure.http || arguments.insecure;
  options.verifyTls = !globals.insecure.tls && !arguments.insecure;
  if (arguments.port != 0) options.port = arguments.port;
  const std::unique_ptr<net::HttpClient> client = net::makeCurlClient(globals.configDirs());
  MirrorConfig mirrors;
  if (!arguments.noMirrors) mirrors = MirrorConfig::load(globals.configDirs());
  Finder finder(*client, options, std::move(mirrors));

  // Each name is printed once it is found, so that the next tool of a pipe can start.
  cli::Table table(arguments.versions ? std::vector<std::string>{"IMAGE", "ID", "SIZE"}
                                      : std::vector<std::string>{"NAME", "WHAT", "URL", "MIRROR"});
  const auto one = [&](const schema::AppRef& ref) {
    if (arguments.versions) {
      const record::Versions versions = versionsOf(finder, ref);
      if (format == cli::Format::table) {
        addVersionRows(table, versions);
      } else {
        cli::print(dumpLine(versions.toJson()) + "\n");
      }
      return;
    }
    const record::Discovered found = discover(finder, ref, arguments.keysOnly);
    if (format == cli::Format::table) {
      addRows(table, found);
    } else if (format == cli::Format::json) {
      cli::print(appcJson(found));
    } else {
      cli::print(dumpLine(found.toJson()) + "\n");
    }
  };
  if (fromInput) {
    record::forEachRecord(0, [&](const record::Record& record) { one(nameOf(record)); });
  } else {
    std::vector<schema::AppRef> refs;  // a mistyped name fails before anything is asked
    for (const std::string& name : arguments.names)
      refs.push_back(schema::AppRef::parse(name));
    for (const schema::AppRef& ref : refs)
      one(ref);
  }
  if (format == cli::Format::table) cli::print(table.render());
  return static_cast<int>(ExitCode::ok);
}

std::function<int()> setUp(cli::Options& app, cli::Globals& globals) {
  const auto arguments = std::make_shared<Arguments>();
  app.add("NAME", arguments->names, "names, with labels: example.com/web:1.2.0,os=linux");
  cli::Option keys = app.flag("--keys", arguments->keysOnly, "only the URLs of public keys");
  cli::Option versions = app.flag("--versions", arguments->versions,
                                  "which images of the name there are, where its page lists them")
                             .excludes(keys);
  app.flag("--no-mirrors", arguments->noMirrors,
           "ask the name's own pages, whatever mirrors.d says");
  cli::Option json =
      app.flag("--json", arguments->json, "one JSON document a name, as appc's actool has it");
  app.add("--port", arguments->port, "port to ask for pages, instead of 443 (and 80)")
      .range(1, 65535);
  app.flag("--insecure", arguments->insecure,
           "check no certificates and allow plain http (as --insecure-options=tls,http)");
  json.excludes(versions);
  json.excludes(cli::addFormatOption(app, arguments->format,
                                     {cli::Format::table, cli::Format::jsonl, cli::Format::json}));
  return [arguments, &globals] { return run(*arguments, globals); };
}

}  // namespace
}  // namespace actool::discovery

int main(int argc, char** argv) {
  return actool::cli::toolMain(argc, argv,
                               {"actool-discover",
                                "Finds where images and public keys of a name are.",
                                {{.name = "discover",
                                  .summary = "Discover the download URLs of images by their names",
                                  .details = actool::discovery::kDetails,
                                  .setup = actool::discovery::setUp}}});
}
