#include "run/native/requests.h"

#include <sys/socket.h>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/strings.h"

namespace actool::run::native {
namespace {

// Each is an entry point that stage0 runs.
constexpr std::size_t kMaxConnections = 256;

}  // namespace

Requests::Requests(Streams& streams, Actions actions)
    : streams_(streams), actions_(std::move(actions)), listener_(listenControl(kControlSocket)) {}

void Requests::finish(Connection& connection, Packet kind, const std::string& text) {
  sendPacket(connection.fd.get(), kind, text, false);
  connection.over = true;
}

void Requests::finishAll(const std::string& app, Packet waited, Packet kind,
                         const std::string& text) {
  for (Connection& connection : connections_) {
    if (connection.waitsFor == app && connection.kind == waited) finish(connection, kind, text);
  }
  connections_.remove_if([](const Connection& one) { return one.over; });
}

void Requests::begun(const std::string& app) {
  running_.insert(app);
  finishAll(app, Packet::start, Packet::done, "");
}

void Requests::failed(const std::string& app, const std::string& why) {
  running_.erase(app);
  finishAll(app, Packet::start, Packet::error, why);
}

void Requests::ended(const std::string& app) {
  running_.erase(app);
  finishAll(app, Packet::stop, Packet::done, "");
}

void Requests::serve(Connection& connection, const Received& request) {
  const std::string& app = request.text;
  switch (request.kind) {
    case Packet::list:
      finish(connection, Packet::done, streams_.endpoints(app));
      return;
    case Packet::attach: {
      std::vector<std::string> words;
      for (const std::string_view word : split(app, ' '))
        words.emplace_back(word);
      const std::string name = words.front();
      words.erase(words.begin());
      streams_.attach(connection.fd, name, words);
      connection.over = true;
      return;
    }
    case Packet::start:
    case Packet::stop:
    case Packet::remove:
      break;
    default:
      throw Error("the request is unknown");
  }
  if (!actions_.start) throw Error("the pod's apps cannot be changed");
  const bool runs = running_.contains(app);
  if (request.kind == Packet::remove) {
    if (runs) throw Error("app \"" + printable(app) + "\" is running");
    actions_.forget(app);
    finish(connection, Packet::done, "");
  } else if (runs == (request.kind == Packet::start)) {
    finish(connection, Packet::done, "");
  } else {
    connection.waitsFor = app;
    connection.kind = request.kind;
    (request.kind == Packet::start ? actions_.start : actions_.stop)(app);
  }
}

void Requests::take(Connection& connection) {
  const std::optional<Received> request = receivePacket(connection.fd.get());
  if (!request || !connection.waitsFor.empty()) {
    connection.over = true;  // it went away, or says something out of turn
    return;
  }
  try {
    serve(connection, *request);
  } catch (const Error& error) {
    finish(connection, Packet::error, error.what());
  }
}

void Requests::addTo(std::vector<pollfd>& fds) const {
  const bool room = connections_.size() < kMaxConnections;
  fds.push_back({room ? listener_.get() : -1, POLLIN, 0});
  for (const Connection& connection : connections_)
    fds.push_back({connection.fd.get(), POLLIN, 0});
}

void Requests::handle(const std::vector<pollfd>& fds) {
  for (const pollfd& one : fds) {
    if (one.revents == 0) continue;
    if (one.fd == listener_.get()) {
      UniqueFd fd(::accept4(one.fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (fd) connections_.push_back({std::move(fd), "", Packet::list, false});
      continue;
    }
    for (Connection& connection : connections_) {
      if (connection.fd.get() == one.fd && !connection.over) {
        take(connection);
        break;
      }
    }
  }
  connections_.remove_if([](const Connection& one) { return one.over; });
}

}  // namespace actool::run::native
