// actool fetch: images by name, URL, file or record into the store.
#include <fmt/format.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/base/fs.h"
#include "core/base/lock.h"
#include "core/base/log.h"
#include "core/base/strings.h"
#include "core/cli/options.h"
#include "core/cli/table.h"
#include "core/cli/tool.h"
#include "core/net/curl_http.h"
#include "core/record/record.h"
#include "fetch/fetcher.h"
#include "fetch/graph.h"
#include "fetch/process_ingest.h"
#include "fetch/process_siblings.h"
#include "fetch/process_swarm.h"
#include "fetch/raw_download.h"

namespace actool::fetch {
namespace {

constexpr const char* kDetails =
    "Brings images and what they depend on into the store. An IMAGE is a name with labels\n"
    "(example.com/web:1.2.0), an http(s):// URL, a local ACI file or file:// URL, a magnet link, "
    "a\n"
    "torrent file or its URL, or the ID of an image that the store has. Without one, records or "
    "images are read from standard input, one a\n"
    "line, as `actool discover` writes them.\n"
    "\n"
    "Each image comes with a detached signature: of a name the one that its page announces, else\n"
    "the image's own place with .asc added. `--signature` names another one for the image before\n"
    "it. What talks to the network here believes nothing: signature, bytes and manifest are\n"
    "checked where they enter the store, by `actool image ingest`. A download that breaks off is\n"
    "resumed, at once and by the next fetch.\n"
    "\n"
    "Prints the images that were asked for: a table on a terminal, JSON lines otherwise, bare\n"
    "image IDs with --format=id. When some of several fail, the others are fetched all the same,\n"
    "and the exit status is that of the first that failed: 253 not trusted, 252 not found, 251\n"
    "network, 254 anything else.\n"
    "\n"
    "Example:\n"
    "  actool fetch example.com/web:1.2.0\n"
    "  actool discover example.com/web:1.2.0 | actool fetch | actool run\n"
    "  actool fetch ./web.aci --signature /media/web.aci.asc\n"
    "  actool fetch --peer 192.0.2.7:6881 ./web.aci.torrent";

constexpr std::uint64_t kDefaultRawBytes = 4 << 20;  // what a keyring may have

struct Arguments {
  std::vector<std::string> images;
  std::vector<std::string> signatures;
  std::vector<std::string> imageIds;
  std::string pullPolicy = "new";
  bool storeOnly = false;
  bool noStore = false;
  bool noDependencies = false;
  std::string transport = "auto";
  std::string dht;
  std::vector<std::string> dhtNodes;
  std::vector<std::string> peers;
  std::vector<std::string> trackers;
  std::string uploadLimit;
  std::string downloadLimit;
  std::string patience;
  std::string swarmCa;
  std::string swarmCert;
  std::string swarmKey;
  std::string raw;
  std::string maxBytes;
  std::optional<cli::Format> format;
};

// What --image-id says of the image before it.
void pin(std::vector<Request>& requests, const std::string& text) {
  schema::ImageId id = schema::ImageId::parse(text);
  if (requests.empty() || requests.back().imageId) {
    throw UsageError(fmt::format("--image-id {} belongs to no image", id.shortForm()),
                     "it stands after the image that it is for");
  }
  if (std::holds_alternative<schema::ImageIdPrefix>(requests.back().what)) {
    throw UsageError("--image-id is for names, URLs and files", "an image ID needs no other");
  }
  requests.back().imageId = std::move(id);
}

// The images in their order, each with the --signature that follows it, as in rkt, and the
// --image-id.
std::vector<Request> requestsOf(const Arguments& arguments, const cli::Options& options) {
  const cli::Option signatureOption = *options.find("--signature");
  const cli::Option idOption = *options.find("--image-id");
  const cli::Option imageOption = *options.find("images");
  std::vector<Request> requests;
  std::size_t signature = 0;
  std::size_t imageId = 0;
  for (const cli::Option& option : options.inOrder()) {
    if (option == imageOption) {
      requests.push_back(requestFor(record::parseImageArg(arguments.images.at(requests.size()))));
    } else if (option == signatureOption) {
      const std::string& place = arguments.signatures.at(signature++);
      if (requests.empty() || !requests.back().signature.empty()) {
        throw UsageError(fmt::format("--signature {} belongs to no image", printable(place)),
                         "it stands after the image that it is for");
      }
      requests.back().signature = place;
    } else if (option == idOption) {
      pin(requests, arguments.imageIds.at(imageId++));
    }
  }
  if (!cli::readsRecords(!requests.empty())) {
    if (requests.empty()) throw UsageError("no image to fetch", "see actool fetch --help");
    return requests;
  }
  record::forEachRecord(
      STDIN_FILENO, [&](const record::Record& record) { requests.push_back(requestFor(record)); });
  if (requests.empty()) {
    throw UsageError("no image to fetch: standard input has no record", "see actool fetch --help");
  }
  return requests;
}

PullPolicy policyOf(const Arguments& arguments) {
  if (arguments.storeOnly) return PullPolicy::never;
  if (arguments.noStore) return PullPolicy::update;
  return parsePullPolicy(arguments.pullPolicy);
}

std::optional<std::uint64_t> maxBytesOf(const Arguments& arguments) {
  if (arguments.maxBytes.empty()) return std::nullopt;
  const std::optional<std::uint64_t> bytes = parseByteSize(arguments.maxBytes);
  if (!bytes || *bytes == 0) {
    throw UsageError(fmt::format("--max-bytes: \"{}\" is no size", printable(arguments.maxBytes)),
                     "write it as 4096, 64MiB or 2GB");
  }
  return bytes;
}

void writeTalk(std::string_view text) {
  writeAll(STDERR_FILENO, text, "standard error");
}

// Failures of the images that were asked for: each said once, however many need it.
int reportFailures(const std::vector<Outcome>& outcomes) {
  std::optional<ExitCode> first;
  std::set<const Error*> said;
  for (const Outcome& outcome : outcomes) {
    if (!outcome.error) continue;
    try {
      std::rethrow_exception(outcome.error);
    } catch (const cli::SiblingFailure& failure) {
      if (said.insert(&failure).second) writeTalk(failure.text());
      first = first.value_or(failure.code());
    } catch (const Error& error) {
      if (said.insert(&error).second) log::error("{}", error.what());
      first = first.value_or(error.code());
    }
  }
  return static_cast<int>(first.value_or(ExitCode::ok));
}

std::string refOf(const record::Image& image) {
  return schema::AppRef(image.name, image.labels).str();
}

std::string renderImages(const std::vector<Outcome>& outcomes, cli::Format format) {
  cli::Table table({"ID", "NAME", "SIZE", "SIGNED BY"});
  std::string lines;
  for (const Outcome& outcome : outcomes) {
    if (!outcome.image) continue;
    const record::Image& image = *outcome.image;
    if (format == cli::Format::id) {
      lines += image.id.str() + "\n";
    } else if (format == cli::Format::jsonl) {
      lines += dumpLine(image.toJson()) + "\n";
    } else {
      // The last 16 digits of a fingerprint are what gpg calls the long key ID.
      const std::size_t skip =
          image.signedBy.size() - std::min<std::size_t>(16, image.signedBy.size());
      table.addRow({image.id.shortForm(), printable(refOf(image)),
                    formatByteSize(image.distributedSize), image.signedBy.substr(skip)});
      lines = table.render();
    }
  }
  return lines;
}

// Each worker has a client of its own, made with its first request.
class Clients {
 public:
  Clients(const cli::Globals& globals, unsigned workers)
      : auth_(net::AuthConfig::load(globals.configDirs())),
        proxies_(net::ProxyConfig::load(globals.configDirs())),
        clients_(workers) {}

  net::HttpClient& of(unsigned worker) {
    std::unique_ptr<net::HttpClient>& client = clients_.at(worker);
    if (!client) client = net::makeCurlClient(auth_, proxies_);
    return *client;
  }

 private:
  net::AuthConfig auth_;
  net::ProxyConfig proxies_;
  std::vector<std::unique_ptr<net::HttpClient>> clients_;
};

int runRaw(const Arguments& arguments, const cli::Globals& globals) {
  if (!arguments.images.empty() || !arguments.signatures.empty())
    throw UsageError("--raw takes one URL and no image");
  if (!isWebUrl(arguments.raw)) {
    throw UsageError(fmt::format("--raw: \"{}\" is no http(s):// URL", printable(arguments.raw)));
  }
  // Plumbing for public keys, so what is allowed for those is allowed here.
  HttpOptions options;
  options.allowHttp = globals.insecure.http || globals.insecure.pubkey;
  options.verifyTls = !globals.insecure.tls && !globals.insecure.pubkey;
  Clients clients(globals, 1);
  downloadRaw(clients.of(0), arguments.raw, options,
              maxBytesOf(arguments).value_or(kDefaultRawBytes), STDOUT_FILENO);
  return 0;
}

// Held as long as a fetch runs: collection by quotas then leaves all that came in the last day
// (docs/store-format.md, Garbage). Nothing where the store is not made yet, or not ours to change.
std::optional<FileLock> announceFetch(const Path& store) {
  try {
    if (actool::exists(store)) return FileLock::acquire(store / "fetching", LockMode::shared);
  } catch (const SystemError& error) {
    log::debug("{}", error.what());
  }
  return std::nullopt;
}

// How swarms are joined, as actool-p2p takes it.
SwarmWords swarmWords(const Arguments& arguments) {
  SwarmWords words;
  const auto pass = [&](std::string_view name, const std::string& value) {
    if (!value.empty()) words.push_back(fmt::format("--{}={}", name, value));
  };
  pass("dht", arguments.dht);
  for (const std::string& node : arguments.dhtNodes)
    pass("dht-node", node);
  for (const std::string& peer : arguments.peers)
    pass("peer", peer);
  for (const std::string& tracker : arguments.trackers)
    pass("tracker", tracker);
  pass("upload-limit", arguments.uploadLimit);
  pass("download-limit", arguments.downloadLimit);
  pass("patience", arguments.patience);
  pass("swarm-ca", arguments.swarmCa);
  pass("swarm-cert", arguments.swarmCert);
  pass("swarm-key", arguments.swarmKey);
  return words;
}

int runFetch(const Arguments& arguments, const cli::Globals& globals,
             const cli::Options& commandLine) {
  FetchOptions options;
  options.policy = policyOf(arguments);
  options.http.allowHttp = globals.insecure.http;
  options.http.verifyTls = !globals.insecure.tls;
  options.requireSignature = !globals.insecure.image;
  options.trustKeysFromHttps = globals.trustKeysFromHttps;
  options.limits.maxBytes = maxBytesOf(arguments);
  options.transport = parseTransport(arguments.transport);
  const std::vector<Request> requests = requestsOf(arguments, commandLine);

  const auto running = announceFetch(globals.dir);
  const cli::Siblings siblings(globals, writeTalk);
  ProcessIngestClient ingest(siblings);
  ProcessStoreQuery store(siblings);
  ProcessDiscoverer discoverer(siblings);
  ProcessKeyTruster truster(siblings);
  ProcessSwarmClient swarm(siblings, swarmWords(arguments));
  const Fetcher fetcher(
      {ingest, store, discoverer, truster,
       [&](const std::string& label) { return makeProgress(globals.progress, label); },
       [](std::chrono::milliseconds time) { std::this_thread::sleep_for(time); }, swarm},
      options);

  const GraphLimits limits;
  Clients clients(globals, limits.workers);
  GraphWork work;
  work.fetch = [&](const Request& request, unsigned worker) {
    return fetcher.fetch(request, clients.of(worker));
  };
  work.dependencies = [&](const record::Image& image) {
    std::vector<Request> needed;
    if (arguments.noDependencies) return needed;
    for (const schema::Dependency& dependency : store.manifest(image.id).dependencies)
      needed.push_back(requestFor(dependency));
    return needed;
  };
  const std::vector<Outcome> outcomes = fetchAll(requests, work, limits);
  cli::print(renderImages(outcomes, cli::effectiveFormat(arguments.format)));
  return reportFailures(outcomes);
}

std::function<int()> setup(cli::Options& app, cli::Globals& globals) {
  auto arguments = std::make_shared<Arguments>();
  app.add("images", arguments->images, "names, URLs, files or image IDs").typeName("IMAGE");
  app.add("--signature", arguments->signatures, "signature of the image before it, a file or URL")
      .typeName("FILE")
      .oneValueEach();
  app.add("--image-id", arguments->imageIds,
          "the image before it must be that one; nothing is fetched when the store has it")
      .typeName("ID")
      .oneValueEach();
  const auto policy =
      app.add("--pull-policy", arguments->pullPolicy,
              "new: fetch what the store has not; update: ask for newer bytes; never: "
              "look in the store only (default new)")
          .typeName("POLICY");
  const auto storeOnly =
      app.flag("--store-only", arguments->storeOnly, "as --pull-policy=never (rkt's name)");
  app.flag("--no-store", arguments->noStore, "as --pull-policy=update (rkt's name)")
      .excludes(policy)
      .excludes(storeOnly);
  storeOnly.excludes(policy);
  app.flag("--nodeps", arguments->noDependencies, "leave the dependencies of images alone");
  app.add("--transport", arguments->transport,
          "auto: a swarm where one is announced, with the web's place as one of its sources; "
          "https: the web alone; torrent: swarms alone (default auto)")
      .typeName("TRANSPORT");
  app.add("--dht", arguments->dht, "find peers of swarms without tracker: public, private, off")
      .typeName("MODE");
  app.add("--dht-node", arguments->dhtNodes, "node of the DHT to start from")
      .typeName("HOST:PORT")
      .oneValueEach();
  app.add("--peer", arguments->peers, "peer to ask in swarms").typeName("HOST:PORT").oneValueEach();
  app.add("--tracker", arguments->trackers, "tracker to ask for peers of swarms")
      .typeName("URL")
      .oneValueEach();
  app.add("--upload-limit", arguments->uploadLimit, "bytes a second given to a swarm")
      .typeName("SIZE");
  app.add("--download-limit", arguments->downloadLimit, "bytes a second taken from a swarm")
      .typeName("SIZE");
  app.add("--patience", arguments->patience,
          "seconds without a byte after which a swarm is given up (default 60)")
      .typeName("SECONDS");
  app.add("--swarm-ca", arguments->swarmCa, "authority whose certificates admit to swarms")
      .typeName("FILE");
  app.add("--swarm-cert", arguments->swarmCert,
          "certificate to show in its swarms (default: by swarms.d)")
      .typeName("FILE");
  app.add("--swarm-key", arguments->swarmKey, "the certificate's key").typeName("FILE");
  app.add("--max-bytes", arguments->maxBytes,
          "refuse an image of more bytes as distributed (default: the store's "
          "limit; 4MiB with --raw)")
      .typeName("SIZE");
  app.add("--raw", arguments->raw,
          "plumbing: write the bytes at URL to standard output, unverified")
      .typeName("URL");
  cli::addFormatOption(app, arguments->format,
                       {cli::Format::table, cli::Format::jsonl, cli::Format::id});
  return [arguments, &app, &globals] {
    return arguments->raw.empty() ? runFetch(*arguments, globals, app)
                                  : runRaw(*arguments, globals);
  };
}

}  // namespace
}  // namespace actool::fetch

int main(int argc, char** argv) {
  return actool::cli::toolMain(argc, argv,
                               {"actool-fetch",
                                "Fetches images into the store",
                                {{"fetch", "Fetch images and their dependencies into the store",
                                  actool::fetch::kDetails, actool::fetch::setup, nullptr}}});
}
