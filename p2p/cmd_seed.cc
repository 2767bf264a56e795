#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "core/cli/sibling_tool.h"
#include "core/cli/table.h"
#include "core/record/record.h"
#include "p2p/commands.h"
#include "p2p/control_socket.h"
#include "p2p/endpoint.h"
#include "p2p/seed_service.h"

namespace actool::p2p {

namespace {

constexpr int kDefaultPort = 6881;
constexpr int kDefaultTlsPort = 6882;
constexpr int kWatchMilliseconds = 2000;

constexpr const char* kSeedDetails =
    "Gives images of the store to others by BitTorrent, in the foreground until it is stopped: "
    "those that are named, else all that have their file as distributed and were verified when "
    "they came in. Images that come or go are noticed at once. A fetch that ends leaves its pieces "
    "to the seeder of its store.\n\n"
    "Peers find it by trackers, by --dht (with 'private' it is a bootstrap node itself), by --lsd, "
    "or are told its address. Images whose swarms admit by certificate (swarms.d, or --swarm-ca "
    "for "
    "all) are given at --listen-tls to peers with one. --private makes torrents of BEP 27, with "
    "none "
    "of these but trackers. What is read from the store is only read; the seeder's own files are "
    "in "
    "<store>/seed "
    "(docs/p2p.md).\n\n"
    "Example:\n"
    "    actool seed --listen 0.0.0.0:6881 --tracker http://tracker.example.com/announce\n"
    "    actool seed status --watch";

constexpr const char* kStatusDetails =
    "A table on a terminal, otherwise one JSON object: the port, and of each image the state "
    "(hashing, seeding, given enough, broken), peers, and bytes given. With --watch again every "
    "two seconds.\n\n"
    "Example:\n"
    "    actool seed status";

struct SeedOptions {
  std::vector<std::string> images;
  std::vector<std::string> trackers;
  std::vector<std::string> peers;
  SessionWords session;
  SwarmWords swarm;
  std::vector<std::string> listenTls;
  bool isPrivate = false;
  bool v1 = false;
  std::string ratio;
  std::string control;
  std::string cache;
  std::string metrics;
  bool noSandbox = false;
};

struct StatusOptions {
  std::string control;
  bool watch = false;
  std::optional<cli::Format> format;
};

double ratioOf(const std::string& word) {
  if (word.empty()) return 0;
  char* end = nullptr;
  const double ratio = std::strtod(word.c_str(), &end);
  if (end != word.c_str() + word.size() || !(ratio > 0) || ratio > 1e9) {
    throw UsageError(fmt::format("--ratio: \"{}\" is no number", printable(word)),
                     "write 3 for three times an image's size");
  }
  return ratio;
}

std::set<schema::ImageId> imagesNamed(const std::vector<std::string>& images,
                                      const cli::Globals& globals) {
  const cli::Siblings siblings(globals, [](std::string_view) {});
  std::set<schema::ImageId> ids;
  for (const auto& image : images) {
    const std::string out = siblings.runOrThrow("actool-image", {"resolve", image});
    ids.insert(
        record::Image::fromJson(parseJson(trim(out), "the answer of actool-image resolve")).id);
  }
  return ids;
}

Path controlPathOf(const std::string& given, const cli::Globals& globals) {
  if (!given.empty()) return std::filesystem::absolute(given);
  const Path dir = seederDir(globals.dir);
  return dir.empty() ? Path() : dir / kControlName;
}

std::vector<std::string> everywhere(int port) {
  return {fmt::format("0.0.0.0:{}", port), fmt::format("[::]:{}", port)};
}

SeedServiceOptions serviceOptions(const SeedOptions& options, const cli::Globals& globals) {
  SeedServiceOptions service;
  SeederOptions& seeder = service.seeder;
  seeder.session = sessionOptions(options.session);
  seeder.session.verifyTls = !globals.insecure.tls;
  if (options.session.listen.empty()) {
    seeder.session.listen = everywhere(kDefaultPort);
  }
  seeder.swarms = swarmConfig(options.swarm, globals.configDirs());
  if (seeder.swarms.joinsAny()) {
    // Now: the sandbox may keep from it later.
    seeder.swarms.readIdentities();
    seeder.session.listenTls = options.listenTls.empty()
                                   ? everywhere(kDefaultTlsPort)
                                   : listenAddresses("--listen-tls", options.listenTls);
  } else if (!options.listenTls.empty()) {
    throw UsageError("--listen-tls is for swarms that admit by certificate, and none is configured",
                     "name authority, certificate and key in swarms.d or by --swarm-ca");
  }
  seeder.isPrivate = options.isPrivate;
  if (options.isPrivate) {
    if (seeder.session.dht != DhtMode::off || seeder.session.localDiscovery) {
      throw UsageError("--private goes with neither --dht nor --lsd",
                       "a private swarm's peers come from its trackers");
    }
    seeder.session.peerExchange = false;
  }
  seeder.v1 = options.v1;
  seeder.unsignedToo = globals.insecure.image;
  seeder.ratio = ratioOf(options.ratio);
  for (const auto& url : options.trackers)
    checkUrl("--tracker", url, {"http", "https", "udp"});
  seeder.trackers = options.trackers;
  for (const auto& peer : options.peers)
    seeder.peers.push_back(parseHostPort("--peer", peer));
  if (!options.images.empty()) seeder.only = imagesNamed(options.images, globals);

  const Path dir = seederDir(globals.dir);
  if (!options.cache.empty()) {
    service.cacheDir = std::filesystem::absolute(options.cache);
  } else if (!dir.empty()) {
    service.cacheDir = dir / "torrents";
  }
  service.controlPath = controlPathOf(options.control, globals);
  if (!options.metrics.empty()) service.metrics = parseHostPort("--metrics", options.metrics);
  service.sandbox = !options.noSandbox;
  return service;
}

std::string statusTable(const Json& status) {
  cli::Table table({"IMAGE", "STATE", "SIZE", "PEERS", "UPLOADED", "RATE"});
  for (const Json& image : member(status, "images")) {
    const auto bytes = [&](std::string_view name) {
      return formatByteSize(member(image, name).get<std::uint64_t>());
    };
    table.addRow({schema::ImageId::parse(stringMember(image, "id")).shortForm(),
                  stringMember(image, "state"), bytes("size"), member(image, "peers").dump(),
                  bytes("uploaded"), bytes("uploadRate") + "/s"});
  }
  return table.render();
}

int showStatus(const StatusOptions& options, const cli::Globals& globals) {
  const Path path = controlPathOf(options.control, globals);
  const cli::Format format = cli::effectiveFormat(options.format);
  for (;;) {
    const Json status = askSeeder(path);
    if (format == cli::Format::json) {
      cli::print(dumpPretty(status) + "\n");
    } else if (format == cli::Format::jsonl) {
      cli::print(dumpLine(status) + "\n");
    } else {
      cli::print((options.watch ? "\x1b[H\x1b[2J" : "") + statusTable(status));
    }
    if (!options.watch) return 0;
    ::poll(nullptr, 0, kWatchMilliseconds);
  }
}

}  // namespace

cli::Subcommand seedSubcommand() {
  return {
      .name = "seed",
      .summary = "Give images of the store to others",
      .details = kSeedDetails,
      .setup = [](cli::Options& app, cli::Globals& globals) -> std::function<int()> {
        auto options = std::make_shared<SeedOptions>();
        app.add("images", options->images, "images of the store (default: all)").typeName("IMAGE");
        app.add("--tracker", options->trackers, "tracker to announce to")
            .typeName("URL")
            .oneValueEach();
        app.add("--peer", options->peers, "peer to connect to")
            .typeName("HOST:PORT")
            .oneValueEach();
        app.flag("--private", options->isPrivate,
                 "private torrents (BEP 27): peers from trackers alone");
        app.flag("--v1", options->v1,
                 "each also as a v1 torrent, for clients that read no hybrid ones");
        app.add("--ratio", options->ratio, "give each image so many times its size, then no more")
            .typeName("NUMBER");
        app.add("--control", options->control,
                "path of the control socket (default <store>/seed/control.sock)")
            .typeName("PATH");
        app.add("--cache", options->cache,
                "where torrents are kept (default <store>/seed/torrents)")
            .typeName("DIR");
        app.add("--metrics", options->metrics, "serve Prometheus metrics at this loopback address")
            .typeName("ADDR:PORT");
        app.flag("--no-sandbox", options->noSandbox, "no Landlock and seccomp");
        app.add("--listen-tls", options->listenTls,
                "address and port for swarms that admit by certificate (default: all, port 6882)")
            .typeName("ADDR:PORT")
            .oneValueEach();
        addSwarmOptions(app, options->swarm);
        addSessionOptions(app, options->session);
        return [options, &globals] {
          runSeedService(cas::StoreLayout(globals.dir, globals.ns),
                         serviceOptions(*options, globals));
          return 0;
        };
      }};
}

cli::Subcommand seedStatusSubcommand() {
  return {.name = "seed status",
          .summary = "How the seeder of this store does",
          .details = kStatusDetails,
          .setup = [](cli::Options& app, cli::Globals& globals) -> std::function<int()> {
            auto options = std::make_shared<StatusOptions>();
            app.add("--control", options->control, "path of the control socket").typeName("PATH");
            app.flag("--watch", options->watch, "again every two seconds");
            cli::addFormatOption(app, options->format,
                                 {cli::Format::table, cli::Format::json, cli::Format::jsonl});
            return [options, &globals] { return showStatus(*options, globals); };
          }};
}

}  // namespace actool::p2p
