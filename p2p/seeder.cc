#include "p2p/seeder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>

#include <libtorrent/add_torrent_params.hpp>
#include <libtorrent/alert_types.hpp>
#include <libtorrent/torrent_info.hpp>
#include <libtorrent/torrent_status.hpp>

#include "core/base/error.h"
#include "core/base/log.h"
#include "p2p/spread.h"
#include "p2p/torrent_file.h"

namespace actool::p2p {

struct Seeder::Seed {
  cas::DistributedImage image;
  std::optional<SwarmCa> ca = {};  // its swarm admits by certificate
  UniqueFd file;                   // stays readable when the blob's name goes
  std::string state = "hashing";
  std::string infoHash = {};
  std::vector<std::string> keys = {};
  std::vector<lt::torrent_handle> handles = {};
};

struct Seeder::Job {
  cas::DistributedImage image;
  UniqueFd file;
  std::optional<SwarmCa> ca;
  bool isPrivate;
};

struct Seeder::Made {
  cas::DistributedImage image;
  std::string torrent;  // empty: it failed
  std::string why;
};

Seeder::Seeder(cas::StoreLayout layout, const Path& cache, SeederOptions options)
    : layout_(std::move(layout)),
      cache_(cache),
      options_(std::move(options)),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!wake_) throwErrno("making an eventfd");
  session_ = makeSession(options_.session, registry_);
  session_->set_alert_notify([this] { signal(); });
  hashing_ = std::thread([this] { hashLoop(); });
}

Seeder::~Seeder() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  hashing_.join();
}

void Seeder::signal() const {
  const std::uint64_t one = 1;
  // A full counter is as readable as any other.
  if (::write(wake_.get(), &one, sizeof one) < 0) return;
}

bool Seeder::scan() {
  std::set<schema::ImageId> there;
  bool changed = false;
  const cas::StoreReader store(layout_);
  for (const auto& id : store.ids()) {
    if (options_.only && !options_.only->contains(id)) continue;
    try {
      auto image = cas::distributedImage(store, id);
      // What nobody signed nobody shall get from here.
      if (!image || (!image->signature && !options_.unsignedToo)) continue;
      there.insert(id);
      const auto known = seeds_.find(id);
      if (known != seeds_.end()) {
        if (known->second->image.signature == image->signature &&
            known->second->image.digest == image->digest) {
          continue;
        }
        removeSeed(*known->second);
        seeds_.erase(known);
      }
      UniqueFd file = openFile(image->file.string(), O_RDONLY);
      const auto look = cas::lookOf(file.get(), image->file.string());
      const SwarmRule* rule = options_.swarms.find(store.manifest(id).name.str());
      const auto ca = rule == nullptr ? std::nullopt : rule->ca;
      auto seed = std::make_unique<Seed>(Seed{.image = *image, .ca = ca, .file = std::move(file)});
      const auto torrent = options_.isPrivate ? std::nullopt : cache_.get(*image, look, ca);
      if (torrent) {
        addSeed(*seed, *torrent);
      } else {
        const std::lock_guard lock(mutex_);
        jobs_.push_back({*image, openFile(image->file.string(), O_RDONLY), ca, options_.isPrivate});
        changed_.notify_one();
      }
      seeds_.emplace(id, std::move(seed));
      changed = true;
    } catch (const Error& error) {
      // Going just now, or not ours to read: the others are seeded all the same.
      log::warn("{}: {}", id.shortForm(), error.what());
    }
  }
  for (auto seed = seeds_.begin(); seed != seeds_.end();) {
    if (there.contains(seed->first)) {
      ++seed;
      continue;
    }
    removeSeed(*seed->second);
    seed = seeds_.erase(seed);
    changed = true;
  }
  if (changed && !options_.only && !options_.isPrivate) {
    std::set<std::string> names;
    for (const auto& [id, seed] : seeds_)
      names.insert(TorrentCache::fileNameOf(seed->image, seed->ca));
    cache_.keepOnly([&](const std::string& name) { return names.contains(name); });
  }
  return changed;
}

void Seeder::hashLoop() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
    if (stopping_) return;
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    Made made{job.image, {}, {}};
    try {
      const auto look = cas::lookOf(job.file.get(), job.image.file.string());
      made.torrent = makeTorrent(job.file.get(), job.image.file.string(),
                                 {.size = job.image.size,
                                  .sha256 = job.image.digest,
                                  .signature = job.image.signature.value_or(""),
                                  .isPrivate = job.isPrivate,
                                  .ca = job.ca},
                                 [this](std::uint64_t) {
                                   if (stopping_) throw Error("the seeder ends");
                                 });
      if (!job.isPrivate) cache_.put(job.image, look, job.ca, made.torrent);
    } catch (const Error& error) {
      made.why = error.what();
    }
    lock.lock();
    made_.push_back(std::move(made));
    signal();
  }
}

void Seeder::addSeed(Seed& seed, const std::string& torrent) {
  std::optional<SwarmIdentity> identity;
  try {
    if (seed.ca) {
      identity = options_.swarms.identityFor(*seed.ca);
      identity->requireAdmitted(*seed.ca, parseTorrent(torrent).info->name());
    }
  } catch (const Error& error) {
    seed.state = "broken";
    error_ = error.what();
    log::warn("{} is not seeded: {}", seed.image.id.shortForm(), error_);
    return;
  }
  // The v1 form first, so that it is the first to connect to a peer of --peer: Transmission hangs
  // up on a second connection from one address while the first one has not said what it is about.
  if (options_.v1) addTorrent(seed, v1Form(torrent), identity);
  addTorrent(seed, torrent, identity);
  seed.infoHash = parseTorrent(torrent).infoHash;
  seed.state = "seeding";
}

void Seeder::addTorrent(Seed& seed, const std::string& torrent,
                        const std::optional<SwarmIdentity>& identity) {
  auto bytes = std::make_shared<TorrentBytes>(fmt::format("/seed/{}", serial_++));
  const ImageTorrent parsed = parseTorrent(torrent);
  bytes->attach(parsed.imageFile,
                openFile(fmt::format("/proc/self/fd/{}", seed.file.get()), O_RDONLY), {}, true);
  registry_.add(bytes);

  lt::add_torrent_params params;
  params.ti = parsed.info;
  params.save_path = bytes->key();
  params.flags = lt::torrent_flags::update_subscribe | lt::torrent_flags::apply_ip_filter;
  if (options_.session.dht == DhtMode::off || options_.isPrivate) {
    params.flags |= lt::torrent_flags::disable_dht;
  }
  if (!options_.session.localDiscovery || options_.isPrivate) {
    params.flags |= lt::torrent_flags::disable_lsd;
  }
  if (!options_.session.peerExchange || options_.isPrivate) {
    params.flags |= lt::torrent_flags::disable_pex;
  }
  params.have_pieces.resize(parsed.info->num_pieces(), true);
  params.trackers = options_.trackers;
  params.extensions.emplace_back(&spreadPieces);
  for (const auto& [host, port] : options_.peers)
    params.peers.push_back(resolvePeer(host, port));
  if (identity) params.flags |= lt::torrent_flags::paused;
  seed.handles.push_back(session_->add_torrent(std::move(params)));
  if (identity) beginAdmitted(seed.handles.back(), *identity);
  seed.keys.push_back(bytes->key());
}

void Seeder::removeSeed(Seed& seed) {
  for (const auto& handle : seed.handles)
    session_->remove_torrent(handle);
  for (const auto& key : seed.keys)
    registry_.remove(key);
}

void Seeder::tick() {
  std::uint64_t count = 0;
  if (::read(wake_.get(), &count, sizeof count) < 0) count = 0;
  std::vector<Made> made;
  {
    const std::lock_guard lock(mutex_);
    made.swap(made_);
  }
  for (auto& one : made) {
    const auto seed = seeds_.find(one.image.id);
    if (seed == seeds_.end() || seed->second->image.digest != one.image.digest) continue;
    if (one.torrent.empty()) {
      seed->second->state = "broken";
      log::warn("{} is not seeded: {}", one.image.id.shortForm(), one.why);
    } else {
      addSeed(*seed->second, one.torrent);
    }
  }
  std::vector<lt::alert*> alerts;
  session_->pop_alerts(&alerts);
  for (const lt::alert* alert : alerts) {
    log::debug("{}", alert->message());
    if (const auto* listens = lt::alert_cast<lt::listen_succeeded_alert>(alert)) {
      if (listens->socket_type == lt::socket_type_t::tcp) port_ = listens->port;
      if (listens->socket_type == lt::socket_type_t::tcp_ssl) portTls_ = listens->port;
    } else if (lt::alert_cast<lt::listen_failed_alert>(alert) != nullptr ||
               lt::alert_cast<lt::torrent_error_alert>(alert) != nullptr ||
               lt::alert_cast<lt::file_error_alert>(alert) != nullptr) {
      error_ = alert->message();
      log::warn("{}", error_);
    }
  }
  if (options_.ratio <= 0) return;
  for (const auto& [id, seed] : seeds_) {
    std::int64_t given = 0;
    for (const auto& handle : seed->handles)
      given += handle.status({}).total_payload_upload;
    const double most = options_.ratio * static_cast<double>(seed->image.size);
    if (seed->state != "seeding" || static_cast<double>(given) < most) continue;
    seed->state = "given enough";
    for (const auto& handle : seed->handles)
      handle.pause();
  }
}

std::vector<schema::ImageId> Seeder::images() const {
  std::vector<schema::ImageId> ids;
  for (const auto& [id, seed] : seeds_)
    ids.push_back(id);
  return ids;
}

int Seeder::listenPort() const {
  return port_ != 0 ? port_ : session_->listen_port();
}

Json Seeder::status() const {
  Json images = Json::array();
  std::int64_t uploaded = 0;
  std::int64_t rate = 0;
  int peers = 0;
  for (const auto& [id, seed] : seeds_) {
    std::int64_t given = 0;
    std::int64_t now = 0;
    int connected = 0;
    for (const auto& handle : seed->handles) {
      const lt::torrent_status status = handle.status({});
      given += status.total_payload_upload;
      now += status.upload_payload_rate;
      connected += status.num_peers;
    }
    uploaded += given;
    rate += now;
    peers += connected;
    images.push_back({{"id", id.str()},
                      {"state", seed->state},
                      {"infoHash", seed->infoHash},
                      {"admission", seed->ca ? "certificate" : "open"},
                      {"size", seed->image.size},
                      {"peers", connected},
                      {"uploaded", given},
                      {"uploadRate", now}});
  }
  Json status = {{"kind", "seeder"},     {"port", listenPort()}, {"images", images},
                 {"uploaded", uploaded}, {"uploadRate", rate},   {"peers", peers}};
  if (portTls_ != 0) status["portTls"] = portTls_;
  if (!error_.empty()) status["error"] = error_;
  return status;
}

}  // namespace actool::p2p
