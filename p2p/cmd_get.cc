#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <memory>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/base/json.h"
#include "core/base/strings.h"
#include "core/cli/sibling_tool.h"
#include "core/cli/table.h"
#include "p2p/commands.h"
#include "p2p/endpoint.h"
#include "p2p/get.h"

namespace actool::p2p {

namespace {

constexpr const char* kGetDetails =
    "Plumbing of 'actool fetch': brings the image of one torrent file or magnet link into the "
    "store, "
    "through 'actool image ingest', and prints its record. While it runs, 'progress' records go "
    "before it. Pieces are given to other peers as well, until the image is there or "
    "refused.\n\n"
    "Example:\n"
    "    actool p2p get --peer 192.0.2.7:6881 ./web.aci.torrent";

struct GetOptions {
  std::string place;
  std::string signature;
  std::string requested;
  std::string imageId;
  std::string source;
  std::optional<std::uint64_t> size;
  std::string maxSize;
  std::vector<std::string> webSeeds;
  std::vector<std::string> trackers;
  std::vector<std::string> peers;
  std::uint64_t patience = 60;
  SessionWords session;
  SwarmWords swarm;
};

GetRequest getRequest(const GetOptions& options, const cli::Globals& globals) {
  GetRequest request{.place = options.place,
                     .signature = std::nullopt,
                     .requireSignature = !globals.insecure.image,
                     .size = options.size,
                     .ingestArguments = {},
                     .webSeeds = options.webSeeds,
                     .trackers = options.trackers,
                     .peers = {},
                     .session = sessionOptions(options.session),
                     .swarms = [&] { return swarmConfig(options.swarm, globals.configDirs()); },
                     .patience = std::chrono::seconds(options.patience)};
  request.session.verifyTls = !globals.insecure.tls;
  if (!options.signature.empty()) request.signature = options.signature;
  const auto pass = [&](std::string_view name, const std::string& value) {
    if (!value.empty()) request.ingestArguments.push_back(fmt::format("--{}={}", name, value));
  };
  pass("requested", options.requested);
  pass("image-id", options.imageId);
  pass("source", options.source.empty() ? options.place : options.source);
  pass("max-distributed-size", options.maxSize);
  for (const auto& url : options.webSeeds)
    checkUrl("--web-seed", url, {"http", "https"});
  for (const auto& url : options.trackers)
    checkUrl("--tracker", url, {"http", "https", "udp"});
  for (const auto& peer : options.peers)
    request.peers.push_back(parseHostPort("--peer", peer));
  return request;
}

int get(const GetOptions& options, const cli::Globals& globals) {
  const GetRequest request = getRequest(options, globals);
  const cli::Siblings siblings(
      globals, [](std::string_view text) { writeAll(STDERR_FILENO, text, "standard error"); });
  std::uint64_t last = 0;
  auto next = std::chrono::steady_clock::now();
  const std::string record =
      getImage(request, siblings, [&](std::uint64_t done, std::uint64_t total) {
        if (done == last || std::chrono::steady_clock::now() < next) return;
        last = done;
        next = std::chrono::steady_clock::now() + std::chrono::milliseconds(200);
        cli::print(dumpLine(Json{{"kind", "progress"}, {"done", done}, {"total", total}}) + "\n");
      });
  cli::print(record + "\n");
  return 0;
}

}  // namespace

cli::Subcommand getSubcommand() {
  return {
      .name = "p2p get",
      .summary = "Bring the image of a torrent into the store",
      .details = kGetDetails,
      .setup = [](cli::Options& app, cli::Globals& globals) -> std::function<int()> {
        auto options = std::make_shared<GetOptions>();
        app.add("torrent", options->place, "a torrent file or a magnet link")
            .required()
            .typeName("FILE|MAGNET");
        app.add("--signature", options->signature,
                "detached signature (default: the one in the torrent)")
            .typeName("FILE");
        app.add("--requested", options->requested, "name and labels that were asked for")
            .typeName("APPREF");
        app.add("--image-id", options->imageId, "image ID the result must have").typeName("ID");
        app.add("--size", options->size, "bytes the image must have as distributed");
        app.add("--source", options->source, "for the record: where the image is announced");
        app.add("--max-distributed-size", options->maxSize, "limit on the file as distributed");
        app.add("--web-seed", options->webSeeds, "URL of the image").typeName("URL").oneValueEach();
        app.add("--tracker", options->trackers, "tracker to ask").typeName("URL").oneValueEach();
        app.add("--peer", options->peers, "peer to ask").typeName("HOST:PORT").oneValueEach();
        app.add("--patience", options->patience,
                "seconds without a byte after which it fails (default 60)");
        addSwarmOptions(app, options->swarm);
        addSessionOptions(app, options->session);
        return [options, &globals] { return get(*options, globals); };
      }};
}

}  // namespace actool::p2p
