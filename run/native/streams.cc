#include "run/native/streams.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <optional>
#include <span>

#include "core/base/error.h"
#include "core/base/fs.h"
#include "core/base/strings.h"
#include "run/native/journal.h"

namespace actool::run::native {
namespace {

constexpr const char* kLogs = "logs";
// Read from one stream before the others get their turn.
constexpr std::size_t kTurn = 64 << 10;

void makeLogs() {
  if (::mkdir(kLogs, 0750) != 0 && errno != EEXIST) throwErrno("making the pod's logs");
}

void setNonBlocking(int fd) {
  if (::fcntl(fd, F_SETFL, O_NONBLOCK) != 0) throwErrno("setting up an app's streams");
}

// Bytes, 0 at the end, nothing when there is nothing to read now.
std::optional<std::size_t> readNow(int fd, std::span<char> buffer) {
  ssize_t count = 0;
  do {
    count = ::read(fd, buffer.data(), buffer.size());
  } while (count < 0 && errno == EINTR);
  if (count < 0 && errno == EAGAIN) return std::nullopt;
  return count < 0 ? 0 : static_cast<std::size_t>(count);  // EIO: nobody has the terminal open
}

}  // namespace

bool Streams::AppStreams::hasTerminal() const {
  return std::find(modes.begin(), modes.end(), StdioMode::tty) != modes.end();
}

StdioFds Streams::open(const std::string& app, const StdioModes& modes) {
  // A client or an app that closes its end is an error of write(2).
  ::signal(SIGPIPE, SIG_IGN);
  AppStreams& streams = apps_[app];
  streams = AppStreams{};
  streams.modes = modes;
  StdioFds ends;
  if (modes[0] == StdioMode::stream) {
    Pipe pipe = makePipe();
    setNonBlocking(pipe.write.get());
    streams.input = std::move(pipe.write);
    ends[0] = std::move(pipe.read);
  }
  for (std::size_t i = 1; i < modes.size(); ++i) {
    Output& output = streams.outputs[i - 1];
    output.name = i == 1 ? "stdout" : "stderr";
    output.logged = modes[i] == StdioMode::log;
    if (output.logged) ends[i] = openJournal(pod_ + "." + app, i == 2);
    if (ends[i]) {
      makeLogs();
      writeFilePlain(Path(kLogs) / (app + ".journal"), pod_ + "." + app + "\n", 0640);
    }
    if (ends[i] || (!output.logged && modes[i] != StdioMode::stream)) continue;
    if (output.logged && !streams.log) {
      makeLogs();
      streams.log = std::make_shared<LogFile>(Path(kLogs) / (app + ".log"));
    }
    Pipe pipe = makePipe();
    setNonBlocking(pipe.read.get());
    output.fd = std::move(pipe.read);
    ends[i] = std::move(pipe.write);
  }
  return ends;
}

void Streams::setTerminal(const std::string& app, UniqueFd master) {
  setNonBlocking(master.get());
  AppStreams& streams = apps_[app];
  // With the other side open here too, the terminal is not hung up between two processes of the
  // app that open it.
  streams.terminalPeer.reset(::ioctl(master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!streams.terminalPeer) throwErrno("opening the app's terminal");
  streams.terminal = std::move(master);
}

bool Streams::readOutput(const std::string& app, AppStreams& streams, std::size_t which) {
  Output& output = streams.outputs[which];
  std::array<char, kMaxPacket> buffer{};
  for (std::size_t taken = 0; taken < kTurn;) {
    const auto count = readNow(output.fd.get(), buffer);
    if (!count) return false;
    if (*count == 0) {
      if (output.logged) streams.log->finish(output.name);
      output.fd.reset();
      return false;
    }
    taken += *count;
    const std::string_view bytes(buffer.data(), *count);
    if (output.logged) {
      streams.log->write(output.name, bytes);
      continue;
    }
    for (Client& client : clients_) {
      if (client.app == app && client.out[which]) {
        sendTo(client, which == 0 ? Packet::output : Packet::errorOutput, bytes);
      }
    }
  }
  return true;
}

bool Streams::readTerminal(const std::string& app, AppStreams& streams) {
  std::array<char, kMaxPacket> buffer{};
  for (std::size_t taken = 0; taken < kTurn;) {
    const auto count = readNow(streams.terminal.get(), buffer);
    if (!count) return false;
    if (*count == 0) {  // hung up: the app, whose session it was, has ended
      streams.terminal.reset();
      streams.terminalPeer.reset();
      return false;
    }
    taken += *count;
    for (Client& client : clients_) {
      if (client.app == app && client.screen) {
        sendTo(client, Packet::output, {buffer.data(), *count});
      }
    }
  }
  return true;
}

void Streams::drain() {
  for (auto& [app, streams] : apps_) {
    for (std::size_t which = 0; which < streams.outputs.size(); ++which) {
      while (streams.outputs[which].open() && readOutput(app, streams, which)) {
      }
    }
    while (streams.terminal && readTerminal(app, streams)) {
    }
  }
}

void Streams::appEnded(const std::string& app) {
  const auto found = apps_.find(app);
  if (found == apps_.end()) return;
  AppStreams& streams = found->second;
  for (std::size_t which = 0; which < streams.outputs.size(); ++which) {
    if (streams.outputs[which].open()) readOutput(app, streams, which);
  }
  if (streams.terminal) readTerminal(app, streams);
  for (Client& client : clients_) {
    if (client.app != app) continue;
    client.ended = true;
    flush(client);
  }
}

bool Streams::anyAttachable() const {
  return std::any_of(apps_.begin(), apps_.end(), [](const auto& entry) {
    const StdioModes& modes = entry.second.modes;
    return std::any_of(modes.begin(), modes.end(), [](StdioMode mode) {
      return mode == StdioMode::stream || mode == StdioMode::tty;
    });
  });
}

std::string Streams::endpoints(const std::string& app) const {
  const auto found = apps_.find(app);
  if (found == apps_.end()) throw Error("the pod has no app \"" + printable(app) + "\"");
  std::string list;
  constexpr std::array<const char*, 3> kNames = {"stdin\n", "stdout\n", "stderr\n"};
  const AppStreams& streams = found->second;
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (streams.modes[i] == StdioMode::stream) list += kNames[i];
  }
  if (streams.modes[0] == StdioMode::tty) list += "tty-in\n";
  if (streams.modes[1] == StdioMode::tty || streams.modes[2] == StdioMode::tty) {
    list += "tty-out\n";
  }
  return list;
}

void Streams::attach(UniqueFd& client, const std::string& app,
                     const std::vector<std::string>& names) {
  const std::string list = endpoints(app);
  const std::vector<std::string_view> there = split(list, '\n');
  Client fresh;
  fresh.app = app;
  for (const std::string& name : names) {
    if (name.empty() || std::find(there.begin(), there.end(), name) == there.end()) {
      throw Error("app \"" + app + "\" has no \"" + printable(name) + "\" to attach to",
                  "see --mode=list; run it with --stdin, --stdout or --stderr");
    }
    fresh.in |= name == "stdin";
    fresh.out[0] |= name == "stdout";
    fresh.out[1] |= name == "stderr";
    fresh.typing |= name == "tty-in";
    fresh.screen |= name == "tty-out";
  }
  fresh.fd = std::move(client);
  setNonBlocking(fresh.fd.get());
  clients_.push_back(std::move(fresh));
}

void Streams::sendTo(Client& client, Packet kind, std::string_view text) {
  if (client.dead) return;
  if (client.backlog.empty() && sendPacket(client.fd.get(), kind, text, false)) return;
  if (errno != EAGAIN && client.backlog.empty()) {
    client.dead = true;
    return;
  }
  client.backlogBytes += text.size();
  if (client.backlogBytes > kMaxClientBacklog) {
    client.dead = true;
    return;
  }
  client.backlog.emplace_back(kind, text);
}

void Streams::flush(Client& client) {
  while (!client.backlog.empty()) {
    const auto& [kind, text] = client.backlog.front();
    if (!sendPacket(client.fd.get(), kind, text, false)) {
      client.dead |= errno != EAGAIN;
      return;
    }
    client.backlogBytes -= text.size();
    client.backlog.pop_front();
  }
  if (client.ended) client.dead = true;
}

void Streams::readClient(Client& client) {
  errno = 0;
  const std::optional<Received> packet = receivePacket(client.fd.get());
  if (!packet) {
    client.dead = errno != EAGAIN;
    return;
  }
  AppStreams& streams = apps_.at(client.app);
  if (packet->kind == Packet::input && client.in && streams.input) {
    streams.pendingInput += packet->text;
    writePending(streams.input, streams.pendingInput);
  } else if (packet->kind == Packet::input && client.typing && streams.terminal) {
    streams.pendingTyping += packet->text;
    writePending(streams.terminal, streams.pendingTyping);
  } else if (packet->kind == Packet::size && streams.terminal) {
    const std::vector<std::string_view> numbers = split(packet->text, ' ');
    const auto rows = parseUint(numbers.front());
    const auto columns = parseUint(numbers.back());
    if (!rows || !columns) return;
    winsize size{};
    size.ws_row = static_cast<unsigned short>(*rows);
    size.ws_col = static_cast<unsigned short>(*columns);
    ::ioctl(streams.terminal.get(), TIOCSWINSZ, &size);
  }
}

void Streams::writePending(UniqueFd& fd, std::string& pending) {
  while (!pending.empty()) {
    const ssize_t count = ::write(fd.get(), pending.data(), pending.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) {  // the app reads no more
      pending.clear();
      fd.reset();
      return;
    }
    pending.erase(0, static_cast<std::size_t>(count));
  }
}

void Streams::watch(std::vector<pollfd>& fds, int fd, short events,
                    std::function<void(short)> handler) {
  fds.push_back({fd, events, 0});
  handlers_[fd] = std::move(handler);
}

void Streams::addTo(std::vector<pollfd>& fds) {
  handlers_.clear();
  for (auto& [app, streams] : apps_) {
    for (std::size_t which = 0; which < streams.outputs.size(); ++which) {
      if (!streams.outputs[which].open()) continue;
      watch(fds, streams.outputs[which].fd.get(), POLLIN,
            [this, &app = app, &streams = streams, which](short) {
              readOutput(app, streams, which);
            });
    }
    if (streams.input && !streams.pendingInput.empty()) {
      watch(fds, streams.input.get(), POLLOUT,
            [&streams = streams](short) { writePending(streams.input, streams.pendingInput); });
    }
    if (streams.terminal) {
      const short events =
          static_cast<short>(streams.pendingTyping.empty() ? POLLIN : POLLIN | POLLOUT);
      watch(fds, streams.terminal.get(), events,
            [this, &app = app, &streams = streams](short happened) {
              if ((happened & POLLOUT) != 0) writePending(streams.terminal, streams.pendingTyping);
              if (streams.terminal) readTerminal(app, streams);
            });
    }
  }
  for (Client& client : clients_) {
    const AppStreams& streams = apps_.at(client.app);
    const bool takes = streams.pendingInput.empty() && streams.pendingTyping.empty();
    const short events =
        static_cast<short>((takes ? POLLIN : 0) | (client.backlog.empty() ? 0 : POLLOUT));
    watch(fds, client.fd.get(), events, [this, &client](short happened) {
      if ((happened & POLLOUT) != 0) flush(client);
      if ((happened & (POLLIN | POLLHUP | POLLERR)) != 0 && !client.dead) readClient(client);
    });
  }
}

void Streams::handle(const std::vector<pollfd>& fds) {
  for (const pollfd& one : fds) {
    if (one.revents == 0) continue;
    const auto handler = handlers_.find(one.fd);
    if (handler != handlers_.end()) handler->second(one.revents);
  }
  clients_.remove_if([](const Client& client) { return client.dead; });
}

}  // namespace actool::run::native
