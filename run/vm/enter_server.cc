#include "run/vm/enter_server.h"

#include <sys/socket.h>

#include <algorithm>
#include <csignal>

#include "core/base/strings.h"
#include "run/vm/enter_client.h"

namespace actool::run::vm {
namespace {

using native::Packet;

constexpr std::size_t kPiece = 8 << 10;
constexpr std::size_t kMostClients = 64;

}  // namespace

EnterServer::EnterServer() : listener_(native::listenControl(kEnterSocket)) {}

void EnterServer::addTo(std::vector<pollfd>& fds) const {
  if (clients_.size() < kMostClients) fds.push_back({listener_.get(), POLLIN, 0});
  for (const Client& client : clients_) {
    const bool reading = client.onTheWay < kWindow && !client.ended;
    const auto events =
        static_cast<short>((reading ? POLLIN : 0) | (client.pending.empty() ? 0 : POLLOUT));
    fds.push_back({client.fd.get(), events, 0});
  }
}

void EnterServer::handle(const std::vector<pollfd>& fds, Link& link) {
  for (const pollfd& one : fds) {
    if (one.revents == 0) continue;
    if (one.fd == listener_.get()) {
      accept();
      continue;
    }
    const auto client = std::find_if(clients_.begin(), clients_.end(),
                                     [&](const Client& other) { return other.fd.get() == one.fd; });
    if (client == clients_.end()) continue;
    if ((one.revents & POLLOUT) != 0) flush(*client, link);
    if ((one.revents & ~POLLOUT) != 0 && !client->ended) read(*client, link);
    if ((one.revents & (POLLHUP | POLLERR)) != 0 && client->ended) client->pending.clear();
  }
  clients_.remove_if([](const Client& client) { return client.ended && client.pending.empty(); });
}

void EnterServer::accept() {
  UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!fd) return;
  Client client;
  client.fd = std::move(fd);
  // Numbers come round after 65535 commands, and those of that time have ended.
  if (++lastJob_ == kPodJob) ++lastJob_;
  client.job = lastJob_;
  clients_.push_back(std::move(client));
}

void EnterServer::read(Client& client, Link& link) {
  const auto packet = native::receivePacket(client.fd.get());
  if (!packet) {
    if (client.started) link.send(FrameKind::signal, client.job, std::to_string(SIGHUP));
    client.ended = true;
    client.pending.clear();
    return;
  }
  switch (packet->kind) {
    case Packet::attach:
      if (client.started) return;
      client.started = true;
      link.send(FrameKind::start, client.job, packet->text);
      return;
    case Packet::input:
      client.onTheWay += packet->text.size();
      link.send(FrameKind::input, client.job, packet->text);
      return;
    case Packet::size:
      link.send(FrameKind::size, client.job, packet->text);
      return;
    default:
      return;
  }
}

void EnterServer::take(const Frame& frame, Link& link) {
  const auto client = std::find_if(clients_.begin(), clients_.end(), [&](const Client& other) {
    return other.job == frame.job && !other.ended;
  });
  if (client == clients_.end()) {
    // Whoever asked is gone; what is still written is nobody's, and may be written.
    if (frame.kind == FrameKind::output || frame.kind == FrameKind::errorOutput) {
      link.send(FrameKind::taken, frame.job, std::to_string(frame.payload.size()));
    }
    return;
  }
  switch (frame.kind) {
    case FrameKind::output:
    case FrameKind::errorOutput:
      for (std::size_t at = 0; at < frame.payload.size(); at += kPiece) {
        client->pending.emplace_back(
            frame.kind == FrameKind::output ? Packet::output : Packet::errorOutput,
            frame.payload.substr(at, kPiece));
      }
      break;
    case FrameKind::taken:
      client->onTheWay -=
          std::min<std::size_t>(client->onTheWay, parseUint(frame.payload).value_or(0));
      return;
    case FrameKind::failure:
      client->pending.emplace_back(Packet::error, frame.payload.substr(0, kPiece));
      client->failed = true;
      break;
    case FrameKind::ended:
      if (!client->failed) client->pending.emplace_back(Packet::done, frame.payload.substr(0, 16));
      client->ended = true;
      break;
    default:
      return;
  }
  flush(*client, link);
}

void EnterServer::flush(Client& client, Link& link) {
  while (!client.pending.empty()) {
    const auto& [kind, text] = client.pending.front();
    if (!native::sendPacket(client.fd.get(), kind, text, false)) return;
    if (kind == Packet::output || kind == Packet::errorOutput) {
      link.send(FrameKind::taken, client.job, std::to_string(text.size()));
    }
    client.pending.pop_front();
  }
}

}  // namespace actool::run::vm
