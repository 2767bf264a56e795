#include "p2p/get.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <memory>
#include <thread>
#include <utility>

#include <libtorrent/add_torrent_params.hpp>
#include <libtorrent/alert_types.hpp>
#include <libtorrent/magnet_uri.hpp>
#include <libtorrent/session.hpp>
#include <libtorrent/settings_pack.hpp>
#include <libtorrent/torrent_handle.hpp>
#include <libtorrent/torrent_info.hpp>
#include <libtorrent/torrent_status.hpp>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/strings.h"
#include "p2p/staged_ingest.h"
#include "p2p/torrent_file.h"

namespace actool::p2p {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kTick{250};
// The session's own ticks: where something waits for one, and otherwise.
constexpr std::chrono::milliseconds kHurry{20};
constexpr std::chrono::milliseconds kCalm{500};
constexpr std::chrono::milliseconds kPrefixEvery{250};
constexpr const char* kKey = "/get";

bool isMagnet(std::string_view place) {
  return place.starts_with("magnet:");
}

class Getter {
 public:
  Getter(const GetRequest& request, const cli::Siblings& siblings,
         const std::function<void(std::uint64_t, std::uint64_t)>& progress)
      : request_(request), siblings_(siblings), progress_(progress) {}

  std::string run() {
    lt::add_torrent_params params = paramsOf();
    const bool known = params.ti != nullptr;
    if (known) begin(params.ti);
    registry_.add(bytes_);
    session_ = makeSession(sessionOptions(), registry_);
    if (identity_) params.flags |= lt::torrent_flags::paused;
    handle_ = session_->add_torrent(std::move(params));
    if (identity_) beginAdmitted(handle_, *identity_);
    if (known) attachFile();
    if (ingest_ && ingest_->image()) return *ingest_->image();
    lastProgress_ = Clock::now();
    while (!finished_) {
      session_->wait_for_alert(kTick);
      std::vector<lt::alert*> alerts;
      session_->pop_alerts(&alerts);
      for (const lt::alert* alert : alerts)
        look(*alert);
      if (ingest_ && ingest_->image()) return *ingest_->image();
      tick();
    }
    bytes_->seal();
    // A session that is to end does so at one of its ticks; while the image is committed peers are
    // still given pieces.
    tickEvery(kHurry);
    return ingest_->finish(torrent_->imageSize);
  }

 private:
  void tickEvery(std::chrono::milliseconds interval) {
    if (std::exchange(sessionTick_, interval) == interval) return;
    lt::settings_pack pack;
    pack.set_int(lt::settings_pack::tick_interval, static_cast<int>(interval.count()));
    session_->apply_settings(std::move(pack));
  }

  lt::add_torrent_params paramsOf() const {
    lt::add_torrent_params params;
    if (isMagnet(request_.place)) {
      lt::error_code error;
      params = lt::parse_magnet_uri(request_.place, error);
      if (error) {
        throw UsageError(fmt::format("\"{}\" is no magnet link: {}", printable(request_.place),
                                     error.message()));
      }
    } else {
      const TorrentLimits limits;
      params.ti = withContext(printable(request_.place), [&] {
        return parseTorrent(readFile(request_.place, limits.bytes), limits).info;
      });
    }
    params.flags = lt::torrent_flags::update_subscribe | lt::torrent_flags::apply_ip_filter;
    params.save_path = kKey;
    for (const auto& url : request_.webSeeds)
      params.url_seeds.push_back(url);
    for (const auto& tracker : request_.trackers)
      params.trackers.push_back(tracker);
    for (const auto& [host, port] : request_.peers)
      params.peers.push_back(resolvePeer(host, port));
    return params;
  }

  SessionOptions sessionOptions() const {
    SessionOptions options = request_.session;
    options.tick = kHurry;
    if (!identity_) return options;
    // Nobody comes to such a swarm without TLS; a DHT has its node at the other ports.
    options.listenTls = options.listen;
    options.listen.clear();
    if (options.dht != DhtMode::off) options.listen = SessionOptions().listen;
    return options;
  }

  // The metadata is there: what it is, and who signed it. Starts the ingest.
  void begin(std::shared_ptr<lt::torrent_info> info) {
    torrent_ = checkInfo(std::move(info));
    if (request_.size && *request_.size != torrent_->imageSize) {
      throw TrustError(fmt::format("the torrent's image has {} bytes, but {} were asked for",
                                   torrent_->imageSize, *request_.size));
    }
    if (torrent_->ca) showCertificate(*torrent_->ca);
    std::vector<std::string> arguments = request_.ingestArguments;
    if (const auto signature = signaturePath()) {
      arguments.push_back("--signature=" + signature->string());
    } else if (request_.requireSignature) {
      throw TrustError("the torrent has no signature of its image",
                       "name the signature with --signature");
    }
    arguments.push_back(fmt::format("--size={}", torrent_->imageSize));
    arguments.emplace_back("--via=actool-p2p:torrent");
    ingest_.emplace(siblings_, arguments);
  }

  void attachFile() {
    UniqueFd writable =
        ingest_->open([this](std::uint64_t bytes) { progress_(bytes, torrent_->imageSize); });
    if (!writable) return;
    const bool mayHaveData = ::lseek(writable.get(), 0, SEEK_DATA) >= 0;
    if (::ftruncate(writable.get(), static_cast<off_t>(torrent_->imageSize)) != 0) {
      throwErrno("making room for the image");
    }
    UniqueFd readable = openFile(fmt::format("/proc/self/fd/{}", writable.get()), O_RDONLY);
    bytes_->attach(torrent_->imageFile, std::move(readable), std::move(writable), mayHaveData);
  }

  void showCertificate(const SwarmCa& ca) {
    if (isMagnet(request_.place)) {
      // From peers that admitted us without a certificate, so they are none of that swarm.
      throw TrustError("the magnet link leads to a swarm that should admit by certificate",
                       "fetch by its torrent file");
    }
    identity_ = request_.swarms().identityFor(ca);
    identity_->requireAdmitted(ca, torrent_->info->name());
  }

  std::optional<Path> signaturePath() {
    if (!request_.requireSignature) return std::nullopt;
    if (request_.signature) {
      if (torrent_->signature &&
          *torrent_->signature != readFile(*request_.signature, TorrentLimits().signatureBytes)) {
        throw NotFoundError("the torrent is of another file than the one that is signed");
      }
      return request_.signature;
    }
    if (!torrent_->signature) return std::nullopt;
    const Path path = scratch_.path() / "image.asc";
    writeFilePlain(path, *torrent_->signature, 0600);
    return path;
  }

  void look(const lt::alert& alert) {
    log::debug("{}", alert.message());
    if (lt::alert_cast<lt::metadata_received_alert>(&alert) != nullptr) {
      const auto info = handle_.torrent_file();
      if (info && !ingest_) {
        begin(std::make_shared<lt::torrent_info>(*info));
        attachFile();
      }
    } else if (const auto* error = lt::alert_cast<lt::file_error_alert>(&alert)) {
      throw Error(fmt::format("writing the image failed: {}", error->error.message()),
                  "what came stays for the next fetch");
    } else if (const auto* fatal = lt::alert_cast<lt::torrent_error_alert>(&alert)) {
      throw Error(fmt::format("the swarm is given up: {}", fatal->error.message()));
    } else if (const auto* left = lt::alert_cast<lt::peer_disconnected_alert>(&alert)) {
      if (std::string_view(left->error.category().name()) == "asio.ssl") {
        refusal_ = left->error.message();
      }
    } else if (lt::alert_cast<lt::torrent_finished_alert>(&alert) != nullptr) {
      finished_ = ingest_.has_value();
    }
  }

  void tick() {
    if (ingest_) ingest_->check();
    const lt::torrent_status status = handle_.status(lt::torrent_handle::query_pieces);
    const bool checking = status.state == lt::torrent_status::checking_files ||
                          status.state == lt::torrent_status::checking_resume_data;
    const std::int64_t moved = status.total_done + status.total_payload_download;
    if (status.total_payload_download > 0) tickEvery(kCalm);
    if (moved != moved_ || checking) {
      moved_ = moved;
      lastProgress_ = Clock::now();
    }
    if (torrent_) {
      progress_(static_cast<std::uint64_t>(status.total_wanted_done), torrent_->imageSize);
      notePrefix(status);
    }
    if (Clock::now() - lastProgress_ > request_.patience) {
      throw NetworkError(fmt::format(
          "nothing came from the swarm for {} s ({} peers, {} of {}{})", request_.patience.count(),
          status.num_peers, formatByteSize(static_cast<std::uint64_t>(status.total_wanted_done)),
          torrent_ ? formatByteSize(torrent_->imageSize) : std::string("an unknown size"),
          refusal_.empty() ? refusal_ : "; no TLS with a peer: " + refusal_));
    }
  }

  // What can be verified already, and what another transport could go on from.
  void notePrefix(const lt::torrent_status& status) {
    if (torrent_->signatureFile || Clock::now() - prefixNoted_ < kPrefixEvery) return;
    prefixNoted_ = Clock::now();
    int pieces = 0;
    while (pieces < status.pieces.size() && status.pieces[lt::piece_index_t{pieces}])
      ++pieces;
    if (pieces == prefixPieces_) return;
    prefixPieces_ = pieces;
    const std::uint64_t bytes = static_cast<std::uint64_t>(pieces) *
                                static_cast<std::uint64_t>(torrent_->info->piece_length());
    ingest_->notePrefix(std::min(bytes, torrent_->imageSize));
  }

  const GetRequest& request_;
  const cli::Siblings& siblings_;
  const std::function<void(std::uint64_t, std::uint64_t)>& progress_;
  const TempDir scratch_{tempRoot(), "actool-p2p."};
  BytesRegistry registry_;
  std::shared_ptr<TorrentBytes> bytes_ = std::make_shared<TorrentBytes>(kKey);
  std::optional<ImageTorrent> torrent_;
  std::optional<SwarmIdentity> identity_;  // where the swarm admits by certificate
  std::optional<StagedIngest> ingest_;
  std::chrono::milliseconds sessionTick_ = kHurry;
  bool finished_ = false;
  std::string refusal_;  // why TLS with a peer failed, the latest
  std::int64_t moved_ = -1;
  Clock::time_point lastProgress_;
  Clock::time_point prefixNoted_;
  int prefixPieces_ = 0;
  lt::torrent_handle handle_;
  // Last, so that it ends before what it uses.
  std::unique_ptr<lt::session> session_;
};

}  // namespace

std::string getImage(const GetRequest& request, const cli::Siblings& siblings,
                     const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
  return Getter(request, siblings, progress).run();
}

}  // namespace actool::p2p
