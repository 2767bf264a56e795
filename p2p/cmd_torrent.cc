#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <optional>

#include "cas/layout/distributed.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/progress.h"
#include "core/base/strings.h"
#include "core/cli/sibling_tool.h"
#include "core/cli/table.h"
#include "core/record/record.h"
#include "p2p/commands.h"
#include "p2p/endpoint.h"
#include "p2p/swarm_config.h"
#include "p2p/torrent_file.h"

namespace actool::p2p {

namespace {

constexpr std::size_t kMostSignatureBytes = 256 << 10;

constexpr const char* kTorrentDetails =
    "Makes the torrent of an image as distributed: of an ACI file with FILE.asc beside it, or of "
    "an image in the store. Whoever makes it of the same file and signature gets the same "
    "info-hash (docs/p2p.md), so that independent mirrors are one swarm. Web seeds, trackers and "
    "nodes change no info-hash; the URL of the file itself is a web seed.\n\n"
    "Writes the torrent to --output, else to standard output; with --magnet a magnet link to "
    "standard output, and the torrent only with --output.\n\n"
    "Example:\n"
    "    actool torrent --web-seed https://example.com/web.aci --output web.aci.torrent web.aci\n"
    "    actool torrent --magnet --peer 192.0.2.7:6881 example.com/web:1.2.0";

struct TorrentOptions {
  std::string image;
  std::string output;
  bool magnet = false;
  std::string signature;
  std::string name;
  bool isPrivate = false;
  std::string swarmCa;
  bool v1 = false;
  std::vector<std::string> webSeeds;
  std::vector<std::string> trackers;
  std::vector<std::string> nodes;
  std::vector<std::string> peers;
};

// The file as distributed, wherever it lies.
struct Subject {
  UniqueFd fd;
  std::string name;
  TorrentContent content;
};

void requireSignature(const std::string& what, const std::string& signature,
                      const cli::Globals& globals) {
  if (!signature.empty() || globals.insecure.image) return;
  throw TrustError(fmt::format("{} has no signature, and nobody would take it", what),
                   "sign it, name the signature with --signature, or allow unsigned images with "
                   "--insecure-options=image");
}

// As the seeder makes it, of an image of that name (empty: nobody knows): by the options, else by
// swarms.d.
std::optional<SwarmCa> admitting(const TorrentOptions& options, const std::string& name,
                                 const cli::Globals& globals) {
  if (!options.swarmCa.empty()) return SwarmCa::load(options.swarmCa);
  if (name.empty()) return std::nullopt;
  const SwarmConfig swarms = SwarmConfig::load(globals.configDirs());
  const SwarmRule* rule = swarms.find(name);
  return rule != nullptr ? rule->ca : std::nullopt;
}

Subject fileSubject(const Path& file, const TorrentOptions& options, const cli::Globals& globals) {
  if (!options.name.empty()) {
    withContext("--name", [&] { return schema::AcIdentifier::parse(options.name); });
  }
  Subject subject{.fd = tryOpen(file.string(), O_RDONLY),
                  .name = file.string(),
                  .content = {.size = 0,
                              .sha256 = digestOf(DigestAlgorithm::sha256, ""),
                              .signature = {},
                              .isPrivate = options.isPrivate,
                              .ca = admitting(options, options.name, globals)}};
  if (!subject.fd) throw NotFoundError(fmt::format("no file {}", printable(subject.name)));
  const Path signature =
      options.signature.empty() ? Path(file.string() + ".asc") : Path(options.signature);
  if (auto text = tryReadFile(signature, kMostSignatureBytes)) {
    subject.content.signature = std::move(*text);
  } else if (!options.signature.empty()) {
    throw NotFoundError(fmt::format("there is no signature {}", printable(options.signature)));
  }
  requireSignature(subject.name, subject.content.signature, globals);
  // Its digest is its name in the torrent, so it is read twice.
  subject.content.sha256 = digestOfFile(DigestAlgorithm::sha256, subject.fd.get(), subject.name);
  const off_t size = ::lseek(subject.fd.get(), 0, SEEK_CUR);
  if (size < 0 || ::lseek(subject.fd.get(), 0, SEEK_SET) != 0) {
    throwErrno("positioning " + subject.name);
  }
  subject.content.size = static_cast<std::uint64_t>(size);
  return subject;
}

Subject storeSubject(const TorrentOptions& options, const cli::Globals& globals) {
  if (!options.signature.empty()) {
    throw UsageError("--signature is for files: the store has the signature of its images");
  }
  if (!options.name.empty()) {
    throw UsageError("--name is for files: the store knows the names of its images");
  }
  const cli::Siblings siblings(globals, [](std::string_view) {});
  const auto record = record::Image::fromJson(
      parseJson(trim(siblings.runOrThrow("actool-image", {"resolve", options.image})),
                "the answer of actool-image resolve"));
  const cas::StoreReader store{cas::StoreLayout(globals.dir, globals.ns)};
  auto image = cas::distributedImage(store, record.id);
  if (!image) {
    throw NotFoundError(
        fmt::format("the store has {}, but no longer the file as distributed", options.image),
        "fetch it again");
  }
  requireSignature(options.image, image->signature.value_or(""), globals);
  return Subject{.fd = openFile(image->file.string(), O_RDONLY),
                 .name = image->file.string(),
                 .content = {.size = image->size,
                             .sha256 = image->digest,
                             .signature = image->signature.value_or(""),
                             .isPrivate = options.isPrivate,
                             .ca = admitting(options, record.name.str(), globals)}};
}

Subject subjectOf(const TorrentOptions& options, const cli::Globals& globals) {
  const record::ImageArg argument = record::parseImageArg(options.image);
  if (const auto* file = std::get_if<record::FileArg>(&argument)) {
    return fileSubject(file->path, options, globals);
  }
  if (std::holds_alternative<schema::AppRef>(argument) ||
      std::holds_alternative<schema::ImageIdPrefix>(argument)) {
    return storeSubject(options, globals);
  }
  throw UsageError(
      fmt::format("\"{}\" is neither a file nor an image of the store", printable(options.image)),
      "fetch it first");
}

Announcement announcementOf(const TorrentOptions& options) {
  Announcement announcement{
      .webSeeds = options.webSeeds, .trackers = options.trackers, .nodes = {}, .peers = {}};
  for (const auto& url : options.webSeeds)
    checkUrl("--web-seed", url, {"http", "https"});
  for (const auto& url : options.trackers)
    checkUrl("--tracker", url, {"http", "https", "udp"});
  for (const auto& node : options.nodes)
    announcement.nodes.push_back(parseHostPort("--dht-node", node));
  for (const auto& peer : options.peers)
    announcement.peers.push_back(parseHostPort("--peer", peer));
  if (!options.magnet && !options.peers.empty()) {
    throw UsageError("--peer is for magnet links; a torrent file has no place for it",
                     "add --magnet");
  }
  return announcement;
}

int makeOne(const TorrentOptions& options, const cli::Globals& globals) {
  const Announcement announcement = announcementOf(options);
  if (options.output.empty() && !options.magnet && ::isatty(STDOUT_FILENO) == 1) {
    throw UsageError("a torrent is not for a terminal", "name a file with --output, or pipe it");
  }
  const Subject subject = subjectOf(options, globals);
  const auto progress = makeProgress(globals.progress, options.image);
  std::string torrent =
      makeTorrent(subject.fd.get(), subject.name, subject.content,
                  [&](std::uint64_t done) { progress->update(done, subject.content.size); });
  progress->finish();
  if (options.v1) torrent = v1Form(torrent);
  if (!options.output.empty()) {
    writeFileAtomic(options.output, announced(torrent, announcement));
  }
  if (options.magnet) {
    cli::print(magnetLink(torrent, announcement) + "\n");
  } else if (options.output.empty()) {
    cli::print(announced(torrent, announcement));
  }
  return 0;
}

}  // namespace

cli::Subcommand torrentSubcommand() {
  return {
      .name = "torrent",
      .summary = "Make the torrent or magnet link of an image",
      .details = kTorrentDetails,
      .setup = [](cli::Options& app, cli::Globals& globals) -> std::function<int()> {
        auto options = std::make_shared<TorrentOptions>();
        app.add("image", options->image, "a file, or an image of the store")
            .required()
            .typeName("IMAGE|FILE");
        app.add("--output,-o", options->output, "write the torrent to this file").typeName("FILE");
        app.flag("--magnet", options->magnet, "print a magnet link");
        app.add("--signature", options->signature, "signature of FILE (default: FILE.asc)")
            .typeName("FILE");
        app.add("--name", options->name,
                "the name of the image in FILE, of which swarms.d may say who is admitted")
            .typeName("NAME");
        app.flag("--private", options->isPrivate,
                 "a private torrent (BEP 27): another info-hash, its trackers' peers only");
        app.add("--swarm-ca", options->swarmCa,
                "peers are admitted by certificates of this authority: another info-hash (default: "
                "what swarms.d says of the name)")
            .typeName("FILE");
        app.flag("--v1", options->v1,
                 "a v1 torrent, of another info-hash, for clients that read no hybrid ones "
                 "(aria2, Transmission before 4)");
        app.add("--web-seed", options->webSeeds, "URL of the file, for BEP 19")
            .typeName("URL")
            .oneValueEach();
        app.add("--tracker", options->trackers, "tracker to announce to")
            .typeName("URL")
            .oneValueEach();
        app.add("--dht-node", options->nodes, "node of the DHT to start from")
            .typeName("HOST:PORT")
            .oneValueEach();
        app.add("--peer", options->peers, "peer that has the image, for magnet links")
            .typeName("ADDR:PORT")
            .oneValueEach();
        return [options, &globals] { return makeOne(*options, globals); };
      }};
}

}  // namespace actool::p2p
