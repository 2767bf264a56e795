#include "p2p/session.h"

#include <fmt/format.h>
#include <netdb.h>

#include <cstdlib>
#include <limits>

#include <libtorrent/alert.hpp>
#include <libtorrent/extensions/smart_ban.hpp>
#include <libtorrent/extensions/ut_metadata.hpp>
#include <libtorrent/extensions/ut_pex.hpp>
#include <libtorrent/session.hpp>
#include <libtorrent/session_params.hpp>
#include <libtorrent/settings_pack.hpp>
#include <libtorrent/socket.hpp>
#include <libtorrent/torrent_handle.hpp>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "p2p/endpoint.h"

namespace actool::p2p {

namespace {

// ffdhe2048 of RFC 7919. libtorrent asks for a group; with TLS 1.3 and elliptic curves nobody uses
// it.
constexpr const char* kDhParameters = R"(-----BEGIN DH PARAMETERS-----
MIIBCAKCAQEA//////////+t+FRYortKmq/cViAnPTzx2LnFg84tNpWp4TZBFGQz
+8yTnc4kmz75fS/jY2MMddj2gbICrsRhetPfHtXV/WVhJDP1H18GbtCFY2VVPe0a
87VXE15/V8k1mE8McODmi3fipona8+/och3xWKE2rec1MKzKT0g6eXq8CrGCsyT7
YdEIqUuyyOP7uWrat2DX9GgdT0Kj3jlN9K5W7edjcrsZCwenyO4KbXCeAvzhzffi
7MA0BM0oNC9hkXL+nOmFg/+OTxIy7vKBg8P+OxtMb61zO7X8vC7CIAXFjvGDfRaD
ssbzSibBsu/6iGtCOGEoXJf//////////wIBAg==
-----END DH PARAMETERS-----
)";

constexpr const char* kCaBundle = "/etc/ssl/certs/ca-certificates.crt";

int rateOf(std::uint64_t bytes) {
  constexpr std::uint64_t kMost = std::numeric_limits<int>::max();
  return static_cast<int>(std::min(bytes, kMost));
}

std::uint64_t rateWord(std::string_view option, const std::string& word) {
  if (word.empty()) return 0;
  const auto bytes = parseByteSize(word);
  if (!bytes) {
    throw UsageError(fmt::format("{}: \"{}\" is no size", option, printable(word)),
                     "write bytes a second as 500kB or 10MiB; 0 is no limit");
  }
  return *bytes;
}

DhtMode dhtMode(const std::string& word) {
  if (word == "off") return DhtMode::off;
  if (word == "private") return DhtMode::privateNodes;
  if (word == "public") return DhtMode::publicNet;
  throw UsageError(fmt::format("--dht: \"{}\" is not known", printable(word)),
                   "it is one of public, private, off");
}

lt::settings_pack settingsOf(const SessionOptions& options) {
  using Pack = lt::settings_pack;
  Pack pack;
  pack.set_str(Pack::user_agent, "actool/" ACTOOL_VERSION);
  pack.set_str(Pack::peer_fingerprint, "-AT0100-");
  std::vector<std::string> listen = options.listen;
  for (const std::string& address : options.listenTls)
    listen.push_back(address + "s");
  pack.set_str(Pack::listen_interfaces, join(listen, ","));
  pack.set_int(Pack::alert_mask, static_cast<int>(static_cast<std::uint32_t>(
                                     lt::alert_category::status | lt::alert_category::error |
                                     lt::alert_category::storage | lt::alert_category::tracker |
                                     lt::alert_category::connect)));
  pack.set_bool(Pack::enable_upnp, false);
  pack.set_bool(Pack::enable_natpmp, false);
  pack.set_bool(Pack::enable_lsd, options.localDiscovery);
  pack.set_bool(Pack::enable_dht, options.dht != DhtMode::off);
  std::vector<std::string> nodes;
  if (options.dht == DhtMode::publicNet) nodes.emplace_back("dht.libtorrent.org:25401");
  for (const auto& [host, port] : options.dhtNodes)
    nodes.push_back(formatHostPort(host, port));
  pack.set_str(Pack::dht_bootstrap_nodes, join(nodes, ","));
  if (options.dht == DhtMode::privateNodes) {
    // A private one may have all its nodes on one network, or on one machine.
    pack.set_bool(Pack::dht_restrict_routing_ips, false);
    pack.set_bool(Pack::dht_restrict_search_ips, false);
    pack.set_bool(Pack::dht_enforce_node_id, false);
    pack.set_bool(Pack::dht_prefer_verified_node_ids, false);
  }
  pack.set_int(Pack::upload_rate_limit, rateOf(options.uploadLimit));
  pack.set_int(Pack::download_rate_limit, rateOf(options.downloadLimit));
  pack.set_int(Pack::connections_limit, options.connections);
  pack.set_int(Pack::unchoke_slots_limit, options.uploadSlots);
  pack.set_bool(Pack::validate_https_trackers, options.verifyTls);
  // uTP yields to everything else on the link, which is not what a fetch is for.
  pack.set_bool(Pack::enable_outgoing_utp, false);
  // Several peers behind one address are machines of one site, and tests.
  pack.set_bool(Pack::allow_multiple_connections_per_ip, true);
  pack.set_int(Pack::max_queued_disk_bytes, 8 << 20);
  pack.set_int(Pack::send_buffer_watermark, 1 << 20);
  pack.set_int(Pack::recv_socket_buffer_size, 0);
  pack.set_int(Pack::aio_threads, 1);
  pack.set_int(Pack::hashing_threads, 1);
  pack.set_int(Pack::tick_interval, static_cast<int>(options.tick.count()));
  pack.set_int(Pack::connection_speed, 100);
  // A fleet that is told of an image connects at once.
  pack.set_int(Pack::listen_queue_size, 256);
  pack.set_int(Pack::torrent_connect_boost, 50);
  // Seconds' worth of requests that wait at a peer: what is asked for early is what other peers
  // turn out to have.
  pack.set_int(Pack::request_queue_time, 1);
  pack.set_int(Pack::max_out_request_queue, 1000);
  pack.set_int(Pack::min_reconnect_time, 5);
  pack.set_int(Pack::urlseed_wait_retry, 5);
  pack.set_int(Pack::stop_tracker_timeout, 1);
  pack.set_int(Pack::tracker_completion_timeout, 20);
  pack.set_int(Pack::tracker_receive_timeout, 10);
  // No queue of torrents: all that were asked for are active.
  pack.set_int(Pack::active_seeds, -1);
  pack.set_int(Pack::active_downloads, -1);
  pack.set_int(Pack::active_limit, -1);
  return pack;
}

}  // namespace

void addSessionOptions(cli::Options& app, SessionWords& words) {
  app.add("--listen", words.listen, "address and port to listen on (default: all, any port)")
      .typeName("ADDR:PORT")
      .oneValueEach();
  app.add("--dht", words.dht,
          "find peers without tracker: public, private (of --dht-node's nodes) or off")
      .typeName("MODE");
  app.add("--dht-node", words.dhtNodes, "node of the DHT to start from")
      .typeName("HOST:PORT")
      .oneValueEach();
  app.flag("--lsd", words.lsd, "find peers on the local network by multicast");
  app.flag("--no-pex", words.noPex, "exchange no peers with peers");
  app.add("--upload-limit", words.uploadLimit, "bytes a second (default: none)").typeName("SIZE");
  app.add("--download-limit", words.downloadLimit, "bytes a second (default: none)")
      .typeName("SIZE");
  app.add("--connections", words.connections, "most connections at a time (default 100)")
      .range(2, 10000);
}

SessionOptions sessionOptions(const SessionWords& words) {
  SessionOptions options;
  if (!words.listen.empty()) options.listen = listenAddresses("--listen", words.listen);
  options.dht = dhtMode(words.dht.empty() ? "off" : words.dht);
  for (const auto& node : words.dhtNodes)
    options.dhtNodes.push_back(parseHostPort("--dht-node", node));
  options.localDiscovery = words.lsd;
  options.peerExchange = !words.noPex;
  options.uploadLimit = rateWord("--upload-limit", words.uploadLimit);
  options.downloadLimit = rateWord("--download-limit", words.downloadLimit);
  options.connections = words.connections;
  return options;
}

std::vector<std::string> listenAddresses(std::string_view option,
                                         const std::vector<std::string>& words) {
  std::vector<std::string> addresses;
  for (const auto& word : words) {
    const bool anyPort = word.ends_with(":0");
    const auto [host, port] =
        parseHostPort(option, anyPort ? word.substr(0, word.size() - 1) + "1" : word);
    addresses.push_back(formatHostPort(host, anyPort ? 0 : port));
  }
  return addresses;
}

void beginAdmitted(lt::torrent_handle& torrent, const SwarmIdentity& identity) {
  torrent.set_ssl_certificate_buffer(identity.certificate(), identity.key(), kDhParameters);
  torrent.resume();
}

std::unique_ptr<lt::session> makeSession(const SessionOptions& options,
                                         const BytesRegistry& registry) {
  // The same certificates as for HTTPS elsewhere; OpenSSL's own default may be another place.
  ::setenv("SSL_CERT_FILE", kCaBundle, 0);
  std::vector<std::shared_ptr<lt::plugin>> none;
  lt::session_params params(settingsOf(options), std::move(none));
  params.disk_io_constructor = diskOver(registry);
  auto session = std::make_unique<lt::session>(std::move(params));
  session->add_extension(&lt::create_ut_metadata_plugin);
  session->add_extension(&lt::create_smart_ban_plugin);
  if (options.peerExchange) session->add_extension(&lt::create_ut_pex_plugin);
  return session;
}

lt::tcp::endpoint resolvePeer(const std::string& host, int port) {
  lt::error_code error;
  const lt::address address = lt::make_address(host, error);
  if (!error) return {address, static_cast<std::uint16_t>(port)};
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int code = ::getaddrinfo(host.c_str(), nullptr, &hints, &found);
  if (code != 0) {
    throw NetworkError(
        fmt::format("the peer {} is not found: {}", printable(host), ::gai_strerror(code)));
  }
  std::array<char, 64> text{};
  const int named = ::getnameinfo(found->ai_addr, found->ai_addrlen, text.data(), text.size(),
                                  nullptr, 0, NI_NUMERICHOST);
  ::freeaddrinfo(found);
  if (named != 0) throw NetworkError(fmt::format("the peer {} has no address", printable(host)));
  return {lt::make_address(text.data()), static_cast<std::uint16_t>(port)};
}

}  // namespace actool::p2p
